using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model.Adapters;

/// <summary>A matrix of the model that an adapter can change: [columns × rows], in <paramref name="Parts"/> experts or heads.</summary>
internal sealed record AdapterTarget(string Name, long Columns, long Rows, long Parts)
{
    public const string Embedding = "token_embd.weight";

    /// <summary>Tokens choose rows of it, so that the pair's first half is stored by token: [rank × vocabulary].</summary>
    public bool IsLookup => Name == Embedding;
}

/// <summary>The two tensors that change one matrix, checked against it.</summary>
internal readonly record struct AdapterPair(AdapterTarget Target, TensorView Down, TensorView Up, int Rank)
{
    /// <summary>Native memory that the pair takes once loaded.</summary>
    public long Bytes => Target.Parts * (WeightMatrix.PackedBytes(Down.Type, DownRows, Down.Columns) + LowRankColumns.RequiredBytes(Rank, UpRows));

    /// <summary>Outputs of the first half.</summary>
    public long DownRows => Target.IsLookup ? Target.Rows : Rank;

    /// <summary>Outputs of the second half.</summary>
    public long UpRows => Target.IsLookup ? Target.Columns : Target.Rows;

    /// <summary>Null where the adapter leaves the matrix alone.</summary>
    public static AdapterPair? Find(AdapterTarget target, ITensorSource adapter)
    {
        bool down = adapter.TryGet(target.Name + AdapterShape.DownSuffix, out TensorView a), up = adapter.TryGet(target.Name + AdapterShape.UpSuffix, out TensorView b);
        return (down, up) switch
        {
            (false, false) => null,
            (true, true) => Of(target, a, b),
            _ => throw new InvalidDataException($"the adapter holds only one half of the pair for '{target.Name}'"),
        };
    }

    public static AdapterPair Of(AdapterTarget target, in TensorView down, in TensorView up)
    {
        foreach (TensorView tensor in new[] { down, up })
        {
            if (!WeightMatrix.IsSupported(tensor.Type))
            {
                throw new NotSupportedException($"tensor '{tensor.Name}': weights of type {tensor.Type} are not supported");
            }
        }

        long rank = target.IsLookup ? down.Columns : Extent(down, 1);
        if (rank is < 1 or > AdapterShape.MaxRank)
        {
            throw new InvalidDataException($"tensor '{down.Name}' has a rank of {rank}, expected 1 to {AdapterShape.MaxRank}");
        }

        if (target.IsLookup)
        {
            Expect(down, target, rank, target.Rows);
            Expect(up, target, rank, target.Columns);
        }
        else
        {
            Expect(down, target, target.Columns, rank);
            Expect(up, target, rank, target.Rows);
        }

        return new AdapterPair(target, down, up, (int)rank);
    }

    private static void Expect(in TensorView tensor, AdapterTarget target, long columns, long rows)
    {
        if (tensor.Columns != columns || Extent(tensor, 1) != rows || Extent(tensor, 2) != target.Parts || tensor.Rows != rows * target.Parts)
        {
            string parts = target.Parts > 1 ? $" x {target.Parts}" : "";
            throw new InvalidDataException(
                $"tensor '{tensor.Name}' is [{string.Join(" x ", tensor.Dimensions)}], expected [{columns} x {rows}{parts}] for '{target.Name}' [{target.Columns} x {target.Rows}{parts}]");
        }
    }

    private static long Extent(in TensorView tensor, int dimension) => dimension < tensor.Dimensions.Count ? tensor.Dimensions[dimension] : 1;
}
