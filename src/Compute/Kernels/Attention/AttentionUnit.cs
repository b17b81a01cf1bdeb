using Lamina.Compute.Kernels.Elementwise;
using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Attention;

/// <summary>Sizes of an attention unit that do not depend on registers or formats.</summary>
internal static class AttentionUnit
{
    /// <summary>Queries of one unit.</summary>
    public const int MaxQueries = 16;

    /// <summary>Positions between two updates of the running maximum.</summary>
    public const int SpanPositions = 128;

    /// <summary>Floats of workspace that a unit needs.</summary>
    public static int WorkspaceFloats(int valueLength) => MaxQueries * (SpanPositions + 16 + Padded(valueLength));

    /// <summary>Rounded up to whole lanes.</summary>
    public static int Padded(int length) => (length + 15) / 16 * 16;
}

/// <summary>
/// Softmax(q·k) v for up to sixteen queries that share a key/value head and a sequence: the piece of work that one thread takes. The cache is walked in
/// spans of 128 absolute positions with a running maximum and sum, so the cost is linear in the context, no score row is kept, and a query's
/// arithmetic depends on its own positions only, never on what shares the unit:
/// a score sums over dimensions in order, a softmax sum runs per position modulo 16 and then along the lanes' tree, values add in order of position.
/// </summary>
internal unsafe ref partial struct AttentionUnit<T, TKv>
    where T : struct, ILanes<T>
    where TKv : struct, IKvFormat
{
    private const int MaxQueries = AttentionUnit.MaxQueries;
    private const int SpanPositions = AttentionUnit.SpanPositions;
    private const int SpanBlocks = SpanPositions / KvLayout.BlockPositions;

    /// <summary>Below every score, yet finite, so that differences with it are defined.</summary>
    private const float Lowest = -1e30f;

    private readonly KvLayout _layout;
    private readonly int _kvHead;
    private readonly int _paddedValue;
    private readonly int _queries;

    private fixed long _query[MaxQueries];
    private fixed int _first[MaxQueries];
    private fixed int _last[MaxQueries];
    private fixed float _slope[MaxQueries];
    private fixed int _position[MaxQueries];
    private fixed long _block[SpanBlocks];

    /// <summary>[queries].</summary>
    private fixed float _max[MaxQueries];

    /// <summary>[queries × 128]: scores, then weights, of the current span.</summary>
    private readonly float* _weights;

    /// <summary>[queries × 16]: sums of weights by position modulo 16.</summary>
    private readonly float* _sums;

    /// <summary>[queries × padded value length]: weighted sums of values.</summary>
    private readonly float* _values;

    private AttentionUnit(in AttentionLayer layer, int firstRow, int rows, int firstHead, int heads, float* workspace)
    {
        _layout = layer.Layout;
        _kvHead = firstHead / (layer.Heads / layer.Layout.KvHeads);
        _paddedValue = AttentionUnit.Padded(_layout.ValueLength);
        _queries = rows * heads;
        _weights = workspace;
        _sums = _weights + (MaxQueries * SpanPositions);
        _values = _sums + (MaxQueries * 16);
        new Span<float>(_sums, MaxQueries * (16 + _paddedValue)).Clear();

        for (int i = 0; i < _queries; i++)
        {
            int row = firstRow + (i / heads);
            _query[i] = (long)(layer.Queries[row] + ((firstHead + (i % heads)) * _layout.KeyLength));
            _first[i] = layer.FirstVisible(layer.Positions[row]);
            _last[i] = layer.LastVisible(row);
            _max[i] = Lowest;
            _position[i] = layer.Positions[row];
            _slope[i] = layer.AlibiBias == 0 ? 0 : AlibiSlopes.Of(firstHead + (i % heads), layer.Heads, layer.AlibiBias);
        }
    }

    /// <param name="heads">Query heads from <paramref name="firstHead"/> on, all of one key/value head; times <paramref name="rows"/> at most <see cref="MaxQueries"/>.</param>
    /// <param name="blockTable">Blocks of the sequence that the rows belong to.</param>
    public static void Run(in AttentionLayer layer, int* blockTable, int firstRow, int rows, int firstHead, int heads, float* workspace)
    {
        var unit = new AttentionUnit<T, TKv>(layer, firstRow, rows, firstHead, heads, workspace);
        int first = int.MaxValue, last = 0;
        for (int i = 0; i < unit._queries; i++)
        {
            first = Math.Min(first, unit._first[i]);
            last = Math.Max(last, unit._last[i]);
        }

        for (int span = first / SpanPositions * SpanPositions; span <= last; span += SpanPositions)
        {
            for (int b = 0; b < SpanBlocks && span + (b * KvLayout.BlockPositions) <= last; b++)
            {
                unit._block[b] = (long)(layer.Pool + (blockTable[(span / KvLayout.BlockPositions) + b] * layer.Layout.BlockBytes));
            }

            int tile = 0;
            for (; tile + 4 <= unit._queries; tile += 4)
            {
                unit.Span(layer, span, tile, 4);
            }

            for (; tile < unit._queries; tile++)
            {
                unit.Span(layer, span, tile, 1);
            }
        }

        for (int i = 0; i < unit._queries; i++)
        {
            int row = firstRow + (i / heads), head = firstHead + (i % heads);
            unit.Finish(layer, i, head, layer.Output[row] + (head * layer.Layout.ValueLength));
        }
    }

    /// <summary>One span for the four queries, or the one, from <paramref name="tile"/> on.</summary>
    private void Span(in AttentionLayer layer, int span, int tile, int queries)
    {
        int first = SpanPositions, last = -1;
        for (int i = tile; i < tile + queries; i++)
        {
            first = Math.Min(first, Math.Max(0, _first[i] - span));
            last = Math.Max(last, Math.Min(SpanPositions - 1, _last[i] - span));
        }

        if (first > last)
        {
            return;
        }

        int firstGroup = first / 16, lastGroup = last / 16;
        if (queries == 4)
        {
            ScoreFour(tile, firstGroup, lastGroup);
        }
        else
        {
            ScoreOne(tile, firstGroup, lastGroup);
        }

        for (int i = tile; i < tile + queries; i++)
        {
            Weigh(layer, i, span, firstGroup, lastGroup);
        }

        if (queries == 4)
        {
            GatherFour(tile, first, last);
        }
        else
        {
            GatherOne(tile, first, last);
        }
    }

    /// <summary>Turns a span's scores into weights relative to the running maximum and rescales what was summed before.</summary>
    private void Weigh(in AttentionLayer layer, int query, int span, int firstGroup, int lastGroup)
    {
        float* weights = _weights + (query * SpanPositions);
        int first = Math.Max(0, _first[query] - span), last = Math.Min(SpanPositions - 1, _last[query] - span);
        T scale = T.Broadcast(layer.Scale);
        for (int g = firstGroup; g <= lastGroup; g++)
        {
            T scores = T.Load(weights + (g * 16)) * scale;
            T.Store(layer.SoftCap == 0 ? scores : RowArithmetic.SoftCap(scores, layer.SoftCap), weights + (g * 16));
        }

        if (_slope[query] != 0)
        {
            for (int p = firstGroup * 16; p < (lastGroup + 1) * 16; p++)
            {
                weights[p] = MathF.FusedMultiplyAdd(-_slope[query], Math.Abs(_position[query] - (span + p)), weights[p]);
            }
        }

        for (int p = firstGroup * 16; p < Math.Min(first, (lastGroup + 1) * 16); p++)
        {
            weights[p] = float.NegativeInfinity;
        }

        for (int p = Math.Max(last + 1, firstGroup * 16); p < (lastGroup + 1) * 16; p++)
        {
            weights[p] = float.NegativeInfinity;
        }

        T largest = T.Broadcast(_max[query]);
        for (int g = firstGroup; g <= lastGroup; g++)
        {
            largest = T.Max(T.Load(weights + (g * 16)), largest);
        }

        float max = T.MaxLane(largest);
        float* sums = _sums + (query * 16);
        if (max != _max[query])
        {
            T factor = LaneMath.Exp(T.Broadcast(_max[query] - max));
            T.Store(T.Load(sums) * factor, sums);
            float* values = _values + (query * _paddedValue);
            for (int d = 0; d < _paddedValue; d += 16)
            {
                T.Store(T.Load(values + d) * factor, values + d);
            }

            _max[query] = max;
        }

        T offset = T.Broadcast(max), sum = T.Load(sums);
        for (int g = firstGroup; g <= lastGroup; g++)
        {
            T weight = LaneMath.Exp(T.Load(weights + (g * 16)) - offset);
            T.Store(weight, weights + (g * 16));
            sum += weight;
        }

        T.Store(sum, sums);
    }

    /// <summary>Divides by the sum of weights, the sink's included.</summary>
    private void Finish(in AttentionLayer layer, int query, int head, float* output)
    {
        float sum = T.Sum(T.Load(_sums + (query * 16)));
        float factor = 1;
        if (layer.Sinks is not null)
        {
            float sink = layer.Sinks[head], max = Math.Max(sink, _max[query]);
            factor = T.MaxLane(LaneMath.Exp(T.Broadcast(_max[query] - max)));
            sum = (sum * factor) + T.MaxLane(LaneMath.Exp(T.Broadcast(sink - max)));
        }

        T scale = T.Broadcast(sum > 0 ? factor / sum : 0);
        float* values = _values + (query * _paddedValue);
        for (int d = 0; d < _layout.ValueLength; d += 16)
        {
            T result = T.Load(values + d) * scale;
            int count = _layout.ValueLength - d;
            if (count >= 16)
            {
                T.Store(result, output + d);
            }
            else
            {
                LaneMath.StoreFirst(result, output + d, count);
            }
        }
    }
}
