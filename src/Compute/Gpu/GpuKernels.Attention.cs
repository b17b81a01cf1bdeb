using ILGPU;
using Lamina.Compute.Gguf;
using Lamina.Compute.Gpu.Code;
using Lamina.Compute.Gpu.Memory;
using Lamina.Compute.Kernels;
using Lamina.Compute.Kernels.Attention;

namespace Lamina.Compute.Gpu;

internal sealed unsafe partial class GpuKernels<TTeam, TRow>
{
    /// <summary>Spans that the workspace of split attention has room for with as many (row, head) pairs as are split at most.</summary>
    private const int PartialSpans = 32;

    private CacheLaunchers<CacheF16, TTeam>? _halves;
    private CacheLaunchers<CacheQ8_0, TTeam>? _bytes;
    private GpuBuffer? _partial;

    public void StoreKeyValues(in KeyValueRows rows, int count)
    {
        CacheView cache = Cache(rows.Layout, rows.Pool, rows.Positions, rows.Blocks);
        RowsView keys = _memory.Rows(rows.Keys), values = _memory.Rows(rows.Values);
        KernelConfig launch = Threads((long)count * rows.Layout.KvHeads * (((rows.Layout.KeyLength + 31) / 32) + ((rows.Layout.ValueLength + 31) / 32)));
        if (rows.Layout.Type == GgmlType.F16)
        {
            Halves.Store(_stream, launch, cache, keys, values, count);
        }
        else
        {
            Bytes.Store(_stream, launch, cache, keys, values, count);
        }
    }

    public void Attend(in AttentionLayer layer, ReadOnlySpan<int> slots)
    {
        CacheView cache = Cache(layer.Layout, layer.Pool, layer.Positions, layer.Positions);
        cache.LastPositions = _memory.From<int>(layer.LastPositions);
        cache.Slots = _memory.From<int>(layer.Slots);
        cache.Tables = _memory.From<int>(layer.Tables);
        cache.TableLength = layer.TableLength;
        var form = new AttentionForm
        {
            Heads = layer.Heads,
            WindowKind = (int)layer.WindowKind,
            Window = layer.Window,
            Causal = layer.Causal ? 1 : 0,
            Scale = layer.Scale,
            SoftCap = layer.SoftCap,
            AlibiBias = layer.AlibiBias,
            AlibiHeads = 1 << int.Log2(layer.Heads),
        };
        ArrayView<float> sinks = layer.Sinks is null ? NoFloats : _memory.From<float>(layer.Sinks);
        int rows = slots.Length, spans = (layer.LastPosition / AttentionCode.Span) + 1;
        bool split = spans > 1 && rows * layer.Heads <= _profile.SplitUnits && (long)rows * layer.Heads * spans * (layer.Layout.ValueLength + 2) * sizeof(float) <= _partial?.Bytes;
        RowsView queries = _memory.Rows(layer.Queries), output = _memory.Rows(layer.Output);
        if (layer.Layout.Type == GgmlType.F16)
        {
            Attend(Halves, cache, queries, output, form, sinks, rows, split ? spans : 1);
        }
        else
        {
            Attend(Bytes, cache, queries, output, form, sinks, rows, split ? spans : 1);
        }
    }

    private CacheLaunchers<CacheF16, TTeam> Halves => _halves ??= new CacheLaunchers<CacheF16, TTeam>(_accelerator);

    private CacheLaunchers<CacheQ8_0, TTeam> Bytes => _bytes ??= new CacheLaunchers<CacheQ8_0, TTeam>(_accelerator);

    private void Attend<TCache>(
        CacheLaunchers<TCache, TTeam> launchers, CacheView cache, RowsView queries, RowsView output, AttentionForm form, ArrayView<float> sinks, int rows, int spans)
        where TCache : struct, ICacheFormat
    {
        if (spans == 1)
        {
            launchers.Attend(_stream, Teams((long)rows * form.Heads), cache, queries, output, form, sinks, rows);
            return;
        }

        var partial = new RowsView(_partial!.View.Cast<float>(), cache.ValueLength + 2);
        launchers.AttendSpans(_stream, Teams((long)rows * form.Heads * spans), cache, queries, partial, form, rows, spans);
        _launch.Merge(_stream, Teams((long)rows * form.Heads), partial, output, sinks, rows, form.Heads, spans, cache.ValueLength);
    }

    private CacheView Cache(KvLayout layout, byte* pool, int* positions, int* blocks)
    {
        ArrayView<byte> bytes = _memory.From(pool);
        return new CacheView
        {
            Bytes = bytes.Cast<sbyte>(),
            Halves = bytes.Cast<ushort>(),
            Floats = bytes.Cast<float>(),
            KvHeads = layout.KvHeads,
            KeyLength = layout.KeyLength,
            ValueLength = layout.ValueLength,
            KeyGroupBytes = layout.KeyGroupBytes,
            ValueBytes = layout.ValueBytes,
            ValueStart = checked((int)layout.ValueOffset(0)),
            BlockBytes = layout.BlockBytes,
            Positions = _memory.From<int>(positions),
            LastPositions = NoIntegers,
            Blocks = _memory.From<int>(blocks),
            Slots = NoIntegers,
            Tables = NoIntegers,
        };
    }
}
