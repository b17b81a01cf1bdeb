using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model;

/// <summary>Buffers of layers with experts. A *use* is one (row, expert) pair; uses are sorted by expert, so that an expert's rows are neighbours.</summary>
internal sealed unsafe class ExpertState : IDisposable
{
    private readonly List<NativeBuffer> _owned = [];

    public ExpertState(BufferSizes sizes)
    {
        int rows = sizes.Rows, embedding = sizes.Embedding, count = sizes.Experts, length = sizes.ExpertLength;
        int uses = checked(rows * sizes.Used);
        Scores = Floats(rows, count);
        GateUp = Floats(uses, 2 * length);
        Outputs = Floats(uses, embedding);
        SharedGates = Floats(rows, 1);
        UseRows = Integers(uses);
        UseNumbers = Integers(uses);
        Chosen = new int[uses];
        ChosenWeights = new float[uses];
        UseOf = new int[uses];
        FirstUse = new int[count + 1];
        Selection = new float[count];
        Inputs = new ActivationRows(uses, length);
    }

    /// <summary>Bytes of the float buffers.</summary>
    public long Bytes { get; private set; }

    /// <summary>Router's scores, then probabilities, [rows × experts].</summary>
    public Rows Scores { get; }

    /// <summary>[uses × 2 inner width].</summary>
    public Rows GateUp { get; }

    /// <summary>[uses × embedding].</summary>
    public Rows Outputs { get; }

    /// <summary>[rows × 1].</summary>
    public Rows SharedGates { get; }

    /// <summary>[uses]: the row of each use.</summary>
    public int* UseRows { get; }

    /// <summary>[uses]: 0, 1, 2, ...</summary>
    public int* UseNumbers { get; }

    /// <summary>[rows × used]: the experts of each row, best first.</summary>
    public int[] Chosen { get; }

    /// <summary>[rows × used].</summary>
    public float[] ChosenWeights { get; }

    /// <summary>[rows × used]: the use of each row's k-th expert.</summary>
    public int[] UseOf { get; }

    /// <summary>[experts + 1]: where each expert's uses start.</summary>
    public int[] FirstUse { get; }

    /// <summary>[experts]: one row's scores while experts are chosen.</summary>
    public float[] Selection { get; }

    public ActivationRows Inputs { get; }

    public void Dispose()
    {
        _owned.ForEach(buffer => buffer.Dispose());
        Inputs.Dispose();
        ChosenWeights.AsSpan().Clear();
        Chosen.AsSpan().Clear();
        Selection.AsSpan().Clear();
    }

    private Rows Floats(long rows, int columns)
    {
        long stride = BufferSizes.Stride(columns);
        var buffer = new NativeBuffer(rows * stride * sizeof(float));
        Bytes += buffer.Bytes;
        _owned.Add(buffer);
        return new Rows((float*)buffer.Pointer, stride);
    }

    private int* Integers(int count)
    {
        var buffer = new NativeBuffer((long)count * sizeof(int));
        _owned.Add(buffer);
        var values = (int*)buffer.Pointer;
        for (int i = 0; i < count; i++)
        {
            values[i] = i;
        }

        return values;
    }
}
