using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model.Adapters;

/// <summary>
/// Adds what adapters change to the outputs of a step's multiplications. A row's sum depends on that row alone: its adapters are added in the order its sequence
/// names them, each by the same products in the same order whatever rows stand beside it.
/// </summary>
internal sealed unsafe class AdapterStep : IDisposable
{
    private readonly StageAdapters _adapters;
    private readonly CpuKernels _kernels;

    /// <summary>Rows that one multiplication may have: tokens, or uses of experts.</summary>
    private readonly int _maxRows;

    // [rows]: input and output row of each row that passes through the adapter at hand, and its scale.
    private readonly NativeBuffer _inputs;
    private readonly NativeBuffer _outputs;
    private readonly NativeBuffer _scales;
    private readonly NativeBuffer _logitRows;

    /// <summary>A x: [rows × rank].</summary>
    private NativeBuffer? _low;
    private long _lowStride;

    /// <summary>Adapters that any row of the step uses, [<see cref="_activeCount"/>].</summary>
    private int[] _active = [];
    private int _activeCount;
    private int _mostUses;

    public AdapterStep(StageAdapters adapters, CpuKernels kernels, int maxRows, int batchRows)
    {
        _adapters = adapters;
        _kernels = kernels;
        _maxRows = maxRows;
        _inputs = new NativeBuffer((long)maxRows * sizeof(int));
        _outputs = new NativeBuffer((long)maxRows * sizeof(int));
        _scales = new NativeBuffer((long)maxRows * sizeof(float));
        _logitRows = new NativeBuffer((long)batchRows * sizeof(int));
    }

    /// <summary>The step at hand.</summary>
    public StepBatch Batch { get; private set; } = null!;

    /// <summary>Rows of the step that ask for logits, for <see cref="Add"/>; null when no row uses an adapter.</summary>
    public int* LogitRows => _activeCount == 0 ? null : (int*)_logitRows.Pointer;

    /// <summary>Finds out what the step's rows use; with nothing, every later call returns at once.</summary>
    public void Begin(StepBatch batch)
    {
        Batch = batch;
        _activeCount = _mostUses = 0;
        if (_adapters.Count == 0)
        {
            return;
        }

        if (_active.Length < _adapters.Count)
        {
            _active = new int[_adapters.Count];
        }

        int previous = -1;
        foreach (int slot in batch.Slots)
        {
            if (slot != previous)
            {
                Note(_adapters.Uses(slot));
                previous = slot;
            }
        }

        if (_activeCount > 0)
        {
            batch.LogitRows.CopyTo(new Span<int>(_logitRows.Pointer, batch.LogitRowCount));
            long stride = BufferSizes.Stride(Math.Max(1, _adapters.LargestRank));
            if (stride > _lowStride)
            {
                _low?.Dispose();
                _low = new NativeBuffer(_maxRows * stride * sizeof(float));
                _lowStride = stride;
            }
        }
    }

    /// <summary>y += scale · B (A x) for every row's adapters.</summary>
    /// <param name="inputRows">Input row of each output row; null for the same.</param>
    /// <param name="batchRows">Row of the step of each output row; null for the same.</param>
    public void Add(AdapterDeltas changed, StepBatch batch, ActivationRows x, int* inputRows, int* batchRows, int count, Rows y)
    {
        if (_activeCount == 0 || !changed.HasDeltas)
        {
            return;
        }

        for (int place = 0; place < _mostUses; place++)
        {
            for (int i = 0; i < _activeCount; i++)
            {
                ReadOnlySpan<AdapterDelta> deltas = changed.Deltas(_active[i]);
                int rows = deltas.IsEmpty ? 0 : Select(batch, _active[i], place, inputRows, batchRows, count);
                if (rows > 0)
                {
                    foreach (AdapterDelta delta in deltas)
                    {
                        MatMul.Multiply(_kernels.Team, delta.Down, x, (int*)_inputs.Pointer, rows, (float*)_low!.Pointer, (nint)_lowStride);
                        AddUp(delta, rows, y);
                    }
                }
            }
        }
    }

    /// <summary>Embedding rows: A's row of each token takes the place of A x.</summary>
    public void AddEmbedding(AdapterDeltas changed, StepBatch batch, Rows y)
    {
        for (int place = 0; place < (changed.HasDeltas ? _mostUses : 0); place++)
        {
            for (int i = 0; i < _activeCount; i++)
            {
                ReadOnlySpan<AdapterDelta> deltas = changed.Deltas(_active[i]);
                int rows = deltas.IsEmpty ? 0 : Select(batch, _active[i], place, null, null, batch.RowCount);
                foreach (AdapterDelta delta in deltas)
                {
                    for (int row = 0; row < rows; row++)
                    {
                        delta.Down.DequantizeRow(batch.Tokens[((int*)_inputs.Pointer)[row]], new Span<float>((float*)_low!.Pointer + (row * _lowStride), delta.Rank));
                    }

                    AddUp(delta, rows, y);
                }
            }
        }
    }

    public void Dispose()
    {
        _inputs.Dispose();
        _outputs.Dispose();
        _scales.Dispose();
        _logitRows.Dispose();
        _low?.Dispose();
    }

    private void AddUp(AdapterDelta delta, int rows, Rows y) => _kernels.AddLowRank(
        delta.Up, new Rows((float*)_low!.Pointer, _lowStride), (float*)_scales.Pointer, delta.Scale, (int*)_outputs.Pointer, rows, y.From(delta.FirstOutput));

    private void Note(ReadOnlySpan<AdapterUse> uses)
    {
        _mostUses = Math.Max(_mostUses, uses.Length);
        foreach (AdapterUse use in uses)
        {
            if (!_active.AsSpan(0, _activeCount).Contains(use.Adapter))
            {
                _active[_activeCount++] = use.Adapter;
            }
        }
    }

    /// <summary>Collects the rows whose sequence names the adapter at this place.</summary>
    private int Select(StepBatch batch, int adapter, int place, int* inputRows, int* batchRows, int count)
    {
        int* inputs = (int*)_inputs.Pointer, outputs = (int*)_outputs.Pointer;
        float* scales = (float*)_scales.Pointer;
        int selected = 0;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<AdapterUse> uses = _adapters.Uses(batch.Slots[batchRows is null ? i : batchRows[i]]);
            if (place < uses.Length && uses[place].Adapter == adapter && uses[place].Scale != 0)
            {
                inputs[selected] = inputRows is null ? i : inputRows[i];
                outputs[selected] = i;
                scales[selected++] = uses[place].Scale;
            }
        }

        return selected;
    }
}
