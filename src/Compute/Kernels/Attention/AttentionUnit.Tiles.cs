using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels.Attention;

/// <summary>
/// The two inner loops, for four queries that share every load and for one query that keeps four chains of its own. Both sum each result in the same
/// order, so a query's bits do not depend on which of them computes it.
/// </summary>
internal unsafe ref partial struct AttentionUnit<T, TKv>
{
    private void ScoreFour(int tile, int firstGroup, int lastGroup)
    {
        int length = _layout.KeyLength;
        float* q0 = (float*)_query[tile], q1 = (float*)_query[tile + 1], q2 = (float*)_query[tile + 2], q3 = (float*)_query[tile + 3];
        float* scores = _weights + (tile * SpanPositions);
        for (int g = firstGroup; g <= lastGroup; g++)
        {
            byte* group = KeyGroup(g);
            T s0 = T.Broadcast(0), s1 = s0, s2 = s0, s3 = s0;
            for (int d = 0; d < length; d++)
            {
                T keys = TKv.LoadKeys<T>(group, length, d);
                s0 = T.Fma(T.Broadcast(q0[d]), keys, s0);
                s1 = T.Fma(T.Broadcast(q1[d]), keys, s1);
                s2 = T.Fma(T.Broadcast(q2[d]), keys, s2);
                s3 = T.Fma(T.Broadcast(q3[d]), keys, s3);
            }

            T.Store(s0, scores + (g * 16));
            T.Store(s1, scores + SpanPositions + (g * 16));
            T.Store(s2, scores + (2 * SpanPositions) + (g * 16));
            T.Store(s3, scores + (3 * SpanPositions) + (g * 16));
        }
    }

    private void ScoreOne(int query, int firstGroup, int lastGroup)
    {
        int length = _layout.KeyLength;
        float* q = (float*)_query[query];
        float* scores = _weights + (query * SpanPositions);
        int g = firstGroup;
        for (; g + 3 <= lastGroup; g += 4)
        {
            byte* g0 = KeyGroup(g), g1 = KeyGroup(g + 1), g2 = KeyGroup(g + 2), g3 = KeyGroup(g + 3);
            T s0 = T.Broadcast(0), s1 = s0, s2 = s0, s3 = s0;
            for (int d = 0; d < length; d++)
            {
                T factor = T.Broadcast(q[d]);
                s0 = T.Fma(factor, TKv.LoadKeys<T>(g0, length, d), s0);
                s1 = T.Fma(factor, TKv.LoadKeys<T>(g1, length, d), s1);
                s2 = T.Fma(factor, TKv.LoadKeys<T>(g2, length, d), s2);
                s3 = T.Fma(factor, TKv.LoadKeys<T>(g3, length, d), s3);
            }

            T.Store(s0, scores + (g * 16));
            T.Store(s1, scores + (g * 16) + 16);
            T.Store(s2, scores + (g * 16) + 32);
            T.Store(s3, scores + (g * 16) + 48);
        }

        for (; g <= lastGroup; g++)
        {
            byte* group = KeyGroup(g);
            T s = T.Broadcast(0);
            for (int d = 0; d < length; d++)
            {
                s = T.Fma(T.Broadcast(q[d]), TKv.LoadKeys<T>(group, length, d), s);
            }

            T.Store(s, scores + (g * 16));
        }
    }

    private void GatherFour(int tile, int first, int last)
    {
        int length = _layout.ValueLength, bytes = _layout.ValueBytes;
        float* weights = _weights + (tile * SpanPositions), sums = _values + (tile * _paddedValue);
        for (int d = 0; d < length; d += 16)
        {
            float* s = sums + d;
            T v0 = T.Load(s), v1 = T.Load(s + _paddedValue), v2 = T.Load(s + (2 * _paddedValue)), v3 = T.Load(s + (3 * _paddedValue));
            for (int p = first; p <= last;)
            {
                byte* value = Value(p);
                int end = Math.Min(last, p | (KvLayout.BlockPositions - 1));
                for (; p <= end; p++, value += bytes)
                {
                    T v = TKv.LoadValue<T>(value, length, d);
                    v0 = T.Fma(T.Broadcast(weights[p]), v, v0);
                    v1 = T.Fma(T.Broadcast(weights[p + SpanPositions]), v, v1);
                    v2 = T.Fma(T.Broadcast(weights[p + (2 * SpanPositions)]), v, v2);
                    v3 = T.Fma(T.Broadcast(weights[p + (3 * SpanPositions)]), v, v3);
                }
            }

            T.Store(v0, s);
            T.Store(v1, s + _paddedValue);
            T.Store(v2, s + (2 * _paddedValue));
            T.Store(v3, s + (3 * _paddedValue));
        }
    }

    private void GatherOne(int query, int first, int last)
    {
        int length = _layout.ValueLength, bytes = _layout.ValueBytes, d = 0;
        float* weights = _weights + (query * SpanPositions), sums = _values + (query * _paddedValue);
        for (; d + 64 <= _paddedValue; d += 64)
        {
            float* s = sums + d;
            T v0 = T.Load(s), v1 = T.Load(s + 16), v2 = T.Load(s + 32), v3 = T.Load(s + 48);
            for (int p = first; p <= last;)
            {
                byte* value = Value(p);
                int end = Math.Min(last, p | (KvLayout.BlockPositions - 1));
                for (; p <= end; p++, value += bytes)
                {
                    T weight = T.Broadcast(weights[p]);
                    v0 = T.Fma(weight, TKv.LoadValue<T>(value, length, d), v0);
                    v1 = T.Fma(weight, TKv.LoadValue<T>(value, length, d + 16), v1);
                    v2 = T.Fma(weight, TKv.LoadValue<T>(value, length, d + 32), v2);
                    v3 = T.Fma(weight, TKv.LoadValue<T>(value, length, d + 48), v3);
                }
            }

            T.Store(v0, s);
            T.Store(v1, s + 16);
            T.Store(v2, s + 32);
            T.Store(v3, s + 48);
        }

        for (; d < length; d += 16)
        {
            T v = T.Load(sums + d);
            for (int p = first; p <= last;)
            {
                byte* value = Value(p);
                int end = Math.Min(last, p | (KvLayout.BlockPositions - 1));
                for (; p <= end; p++, value += bytes)
                {
                    v = T.Fma(T.Broadcast(weights[p]), TKv.LoadValue<T>(value, length, d), v);
                }
            }

            T.Store(v, sums + d);
        }
    }

    /// <summary>Keys of group <paramref name="group"/> of the current span.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private byte* KeyGroup(int group) => (byte*)_block[group / 2] + _layout.KeyOffset(_kvHead) + (group % 2 * _layout.KeyGroupBytes);

    /// <summary>Value at a position relative to the current span.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private byte* Value(int position) =>
        (byte*)_block[position / KvLayout.BlockPositions] + _layout.ValueOffset(_kvHead) + (position % KvLayout.BlockPositions * _layout.ValueBytes);
}
