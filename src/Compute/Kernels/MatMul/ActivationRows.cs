namespace Lamina.Compute.Kernels;

/// <summary>
/// The input of multiplications, f32 [rows × columns], with its quantised forms: each is made once, when the first weight matrix asks for it, and shared by all
/// that multiply the same input (q, k and v; gate and up). Every row is quantised by itself, so its result does not depend on its company.
/// </summary>
public sealed unsafe class ActivationRows : IDisposable
{
    private readonly NativeBuffer?[] _forms = new NativeBuffer?[3];
    private readonly bool[] _ready = new bool[3];
    private NativeBuffer? _gathered;

    public ActivationRows(int maxRows, int maxColumns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxRows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxColumns, 1);
        MaxRows = maxRows;
        MaxColumns = maxColumns;
    }

    public int MaxRows { get; }
    public int MaxColumns { get; }
    public int Rows { get; private set; }
    public int Columns { get; private set; }
    internal float* Values { get; private set; }
    internal nint Stride { get; private set; }
    internal int Panels => (Columns + ActivationPanel.Length - 1) / ActivationPanel.Length;

    /// <summary>Takes another input; the floats must stay unchanged until the last multiplication with them.</summary>
    /// <param name="stride">Distance between rows, in floats.</param>
    public void Set(float* values, nint stride, int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rows, MaxRows);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(columns, MaxColumns);
        Values = values;
        Stride = stride;
        Rows = rows;
        Columns = columns;
        _ready.AsSpan().Clear();
    }

    /// <summary>Panels [panel][row] of a quantised form, made now when they were not before.</summary>
    internal byte* Quantised(WorkerTeam team, ActivationForm form)
    {
        NativeBuffer buffer = _forms[(int)form] ??= new NativeBuffer(
            (long)MaxRows * ((MaxColumns + ActivationPanel.Length - 1) / ActivationPanel.Length) * ActivationPanel.Bytes);
        if (!_ready[(int)form])
        {
            var job = new QuantiseJob(this, form, buffer.Pointer, team.Variant != CpuVariant.Scalar);
            int chunks = (Rows + QuantiseJob.ChunkRows - 1) / QuantiseJob.ChunkRows;
            team.Run(job, chunks);
            _ready[(int)form] = true;
        }

        return buffer.Pointer;
    }

    /// <summary>Copies the panels of chosen rows side by side, [panel][count]; valid until the next call.</summary>
    internal byte* Gathered(WorkerTeam team, ActivationForm form, int* rows, int count)
    {
        byte* panels = Quantised(team, form);
        _gathered ??= new NativeBuffer((long)MaxRows * ((MaxColumns + ActivationPanel.Length - 1) / ActivationPanel.Length) * ActivationPanel.Bytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, MaxRows);
        byte* destination = _gathered.Pointer;
        for (int p = 0; p < Panels; p++)
        {
            for (int i = 0; i < count; i++, destination += ActivationPanel.Bytes)
            {
                Buffer.MemoryCopy(panels + ((((long)p * Rows) + rows[i]) * ActivationPanel.Bytes), destination, ActivationPanel.Bytes, ActivationPanel.Bytes);
            }
        }

        return _gathered.Pointer;
    }

    public void Dispose()
    {
        _gathered?.Dispose();
        foreach (NativeBuffer? buffer in _forms)
        {
            buffer?.Dispose();
        }
    }

    private readonly struct QuantiseJob(ActivationRows rows, ActivationForm form, byte* panels, bool vector) : IJob
    {
        public const int ChunkRows = 4;

        public void Execute(int chunk, int worker)
        {
            int end = Math.Min(rows.Rows, (chunk + 1) * ChunkRows);
            for (int row = chunk * ChunkRows; row < end; row++)
            {
                float* values = rows.Values + (row * rows.Stride);
                for (int p = 0; p < rows.Panels; p++)
                {
                    byte* panel = panels + ((((long)p * rows.Rows) + row) * ActivationPanel.Bytes);
                    float* source = values + (p * ActivationPanel.Length);
                    int count = Math.Min(ActivationPanel.Length, rows.Columns - (p * ActivationPanel.Length));
                    if (vector && count == ActivationPanel.Length)
                    {
                        ActivationQuantiser.QuantiseVector(form, source, panel);
                    }
                    else
                    {
                        ActivationQuantiser.Quantise(form, source, count, panel);
                    }
                }
            }
        }
    }
}
