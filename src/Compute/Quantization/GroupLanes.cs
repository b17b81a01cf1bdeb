using System.Runtime.Intrinsics;

namespace Lamina.Compute.Quantization;

/// <summary>Lays eight groups side by side, one to a lane, so that all are fitted at once and each sums in its own order.</summary>
internal static class GroupLanes
{
    public const int Count = 8;

    /// <summary>lanes[i] holds value i of each of the eight groups in <paramref name="values"/>.</summary>
    public static void Spread(ReadOnlySpan<float> values, int groupLength, Span<Vector256<float>> lanes)
    {
        Span<float> column = stackalloc float[Count];
        for (int i = 0; i < groupLength; i++)
        {
            for (int group = 0; group < Count; group++)
            {
                column[group] = values[(group * groupLength) + i];
            }

            lanes[i] = Vector256.Create<float>(column);
        }
    }

    /// <summary>The same group in every lane.</summary>
    public static void Repeat(ReadOnlySpan<float> values, Span<Vector256<float>> lanes)
    {
        for (int i = 0; i < values.Length; i++)
        {
            lanes[i] = Vector256.Create(values[i]);
        }
    }
}
