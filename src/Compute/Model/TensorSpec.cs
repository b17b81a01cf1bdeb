using Lamina.Compute.Gguf;

namespace Lamina.Compute.Model;

/// <summary>A tensor that the metadata implies: its name and exact dimensions, fastest first.</summary>
/// <param name="Required">False for tensors that a file may leave out, such as biases.</param>
internal sealed record TensorSpec(string Name, long[] Dimensions, bool Required)
{
    public static TensorSpec Need(string name, params long[] dimensions) => new(name, dimensions, true);

    public static TensorSpec May(string name, params long[] dimensions) => new(name, dimensions, false);

    /// <summary>Throws <see cref="InvalidDataException"/> with both shapes when they differ; trailing dimensions of 1 do not count.</summary>
    public void Check(in TensorView tensor)
    {
        if (!Trim(tensor.Dimensions).SequenceEqual(Trim(Dimensions)))
        {
            throw new InvalidDataException(
                $"tensor '{Name}' is [{string.Join(" x ", tensor.Dimensions)}], expected [{string.Join(" x ", Dimensions)}] from the metadata");
        }
    }

    private static IEnumerable<long> Trim(IReadOnlyList<long> dimensions)
    {
        int count = dimensions.Count;
        while (count > 1 && dimensions[count - 1] == 1)
        {
            count--;
        }

        return dimensions.Take(count);
    }
}
