using Lamina.Compute.Model;

namespace Lamina.Compute.Kernels;

/// <summary>Which experts a step's rows go to. A *use* is one (row, expert) pair; uses are sorted by expert, so that an expert's rows are neighbours.</summary>
internal sealed unsafe class ExpertUses : IDisposable
{
    private readonly NativeBuffer _rows, _numbers;

    public ExpertUses(BufferSizes sizes)
    {
        int uses = checked(sizes.Rows * sizes.Used);
        _rows = new NativeBuffer((long)uses * sizeof(int));
        _numbers = new NativeBuffer((long)uses * sizeof(int));
        for (int i = 0; i < uses; i++)
        {
            Numbers[i] = i;
        }

        Chosen = new int[uses];
        Weights = new float[uses];
        UseOf = new int[uses];
        First = new int[sizes.Experts + 1];
        Selection = new float[sizes.Experts];
        Inputs = new ActivationRows(uses, sizes.ExpertLength);
    }

    public int Count { get; private set; }

    /// <summary>Uses of one row.</summary>
    public int Used { get; private set; }

    /// <summary>[uses]: the row of each use.</summary>
    public int* Rows => (int*)_rows.Pointer;

    /// <summary>[uses]: 0, 1, 2, ...</summary>
    public int* Numbers => (int*)_numbers.Pointer;

    /// <summary>[rows × used]: the experts of each row, best first.</summary>
    public int[] Chosen { get; }

    /// <summary>[rows × used].</summary>
    public float[] Weights { get; }

    /// <summary>[rows × used]: the use of each row's k-th expert.</summary>
    public int[] UseOf { get; }

    /// <summary>[experts + 1]: where each expert's uses start.</summary>
    public int[] First { get; }

    /// <summary>[experts]: one row's scores while experts are chosen.</summary>
    public float[] Selection { get; }

    public ActivationRows Inputs { get; }

    /// <summary>Sorts uses by expert, rows rising within one.</summary>
    public void Sort(int experts, int used, int rows)
    {
        Span<int> first = First.AsSpan(0, experts + 1);
        Used = used;
        Count = rows * used;
        first.Clear();
        for (int i = 0; i < Count; i++)
        {
            first[Chosen[i] + 1]++;
        }

        for (int e = 0; e < experts; e++)
        {
            first[e + 1] += first[e];
        }

        for (int i = 0; i < Count; i++)
        {
            // Counts up to the next expert's start, so that the starts can be restored by one shift.
            int use = first[Chosen[i]]++;
            Rows[use] = i / used;
            UseOf[i] = use;
        }

        for (int e = experts; e > 0; e--)
        {
            first[e] = first[e - 1];
        }

        first[0] = 0;
    }

    public void Dispose()
    {
        _rows.Dispose();
        _numbers.Dispose();
        Inputs.Dispose();
        Weights.AsSpan().Clear();
        Chosen.AsSpan().Clear();
        Selection.AsSpan().Clear();
    }
}
