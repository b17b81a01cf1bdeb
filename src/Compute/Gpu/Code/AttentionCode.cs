using ILGPU;

namespace Lamina.Compute.Gpu.Code;

/// <summary>One layer's cache and the batch's place in it, on the device.</summary>
internal struct CacheView
{
    // The same pool as bytes, halves and floats.
    public ArrayView<sbyte> Bytes;
    public ArrayView<ushort> Halves;
    public ArrayView<float> Floats;
    public int KvHeads, KeyLength, ValueLength;

    // Strides in bytes: of the keys of 16 positions, of a value, and where values start in a block.
    public int KeyGroupBytes, ValueBytes, ValueStart;
    public long BlockBytes;

    /// <summary>[rows] each: position, last position of the row's sequence, cache block, sequence.</summary>
    public ArrayView<int> Positions, LastPositions, Blocks, Slots;

    /// <summary>[slots × table length].</summary>
    public ArrayView<int> Tables;
    public int TableLength;
}

/// <summary>What differs between models.</summary>
internal struct AttentionForm
{
    public int Heads, WindowKind, Window, Causal;
    public float Scale, SoftCap;

    /// <summary>The largest exponent of the slopes by which scores fall with the distance, 0 = off; and the largest power of two of heads.</summary>
    public float AlibiBias;
    public int AlibiHeads;
}

/// <summary>How a key or a value lies in the cache; the layouts are those of the CPU's formats.</summary>
internal interface ICacheFormat
{
    /// <summary>query · key of the position in lane <paramref name="lane"/> of a group of 16.</summary>
    static abstract float Score(CacheView cache, long group, int lane, RowsView queries, int row, int column);

    static abstract float Value(CacheView cache, long value, int dimension);

    /// <summary>Stores dimensions [first, first + 32) of a key or less at its end.</summary>
    static abstract void StoreKey(CacheView cache, long group, int lane, RowsView keys, int row, int column, int first);

    static abstract void StoreValue(CacheView cache, long value, RowsView values, int row, int column, int first);
}

internal readonly struct CacheF16 : ICacheFormat
{
    public static float Score(CacheView cache, long group, int lane, RowsView queries, int row, int column)
    {
        long first = (group / 2) + lane;
        float score = 0;
        for (int d = 0; d < cache.KeyLength; d++)
        {
            score += queries.Get(row, column + d) * Intrinsics.HalfToFloat(cache.Halves[first + (d * 16)]);
        }

        return score;
    }

    public static float Value(CacheView cache, long value, int dimension) => Intrinsics.HalfToFloat(cache.Halves[(value / 2) + dimension]);

    public static void StoreKey(CacheView cache, long group, int lane, RowsView keys, int row, int column, int first)
    {
        for (int d = first; d < first + 32 && d < cache.KeyLength; d++)
        {
            cache.Halves[(group / 2) + (d * 16) + lane] = Intrinsics.FloatToHalf(keys.Get(row, column + d));
        }
    }

    public static void StoreValue(CacheView cache, long value, RowsView values, int row, int column, int first)
    {
        for (int d = first; d < first + 32 && d < cache.ValueLength; d++)
        {
            cache.Halves[(value / 2) + d] = Intrinsics.FloatToHalf(values.Get(row, column + d));
        }
    }
}

internal readonly struct CacheQ8_0 : ICacheFormat
{
    public static float Score(CacheView cache, long group, int lane, RowsView queries, int row, int column)
    {
        long scales = ((group + (cache.KeyLength * 16)) / 4) + lane;
        float score = 0;
        for (int first = 0; first < cache.KeyLength; first += 32)
        {
            float within = 0;
            for (int d = first; d < first + 32 && d < cache.KeyLength; d++)
            {
                within += queries.Get(row, column + d) * cache.Bytes[group + (d * 16) + lane];
            }

            score += within * cache.Floats[scales + (first / 2)];
        }

        return score;
    }

    public static float Value(CacheView cache, long value, int dimension) =>
        cache.Bytes[value + dimension] * cache.Floats[((value + Padded(cache.ValueLength)) / 4) + (dimension / 32)];

    public static void StoreKey(CacheView cache, long group, int lane, RowsView keys, int row, int column, int first)
    {
        float scale = Scale(keys, row, column + first, cache.KeyLength - first);
        cache.Floats[((group + (cache.KeyLength * 16)) / 4) + (first / 2) + lane] = scale;
        for (int d = first; d < first + 32 && d < cache.KeyLength; d++)
        {
            cache.Bytes[group + (d * 16) + lane] = Quantised(keys.Get(row, column + d), scale);
        }
    }

    public static void StoreValue(CacheView cache, long value, RowsView values, int row, int column, int first)
    {
        float scale = Scale(values, row, column + first, cache.ValueLength - first);
        cache.Floats[((value + Padded(cache.ValueLength)) / 4) + (first / 32)] = scale;
        for (int d = first; d < first + 32 && d < cache.ValueLength; d++)
        {
            cache.Bytes[value + d] = Quantised(values.Get(row, column + d), scale);
        }
    }

    private static int Padded(int length) => (length + 15) / 16 * 16;

    private static float Scale(RowsView x, int row, int column, int count)
    {
        float largest = 0;
        for (int i = 0; i < count && i < 32; i++)
        {
            float value = x.Get(row, column + i), magnitude = value < 0 ? -value : value;
            largest = magnitude > largest ? magnitude : largest;
        }

        return (largest < 1e30f ? largest : 1e30f) / 127f;
    }

    private static sbyte Quantised(float value, float scale)
    {
        float q = scale > 0 ? value / scale : 0;
        q = q < 127f ? q : 127f;
        q = q > -127f ? q : -127f;
        return (sbyte)(int)((q + 12582912f) - 12582912f);
    }
}

/// <summary>Keys and values into the cache, and softmax(q·k) v over it.</summary>
internal static class AttentionCode
{
    /// <summary>Positions between two updates of the running maximum; spans start at multiples of it.</summary>
    public const int Span = 256;

    /// <summary>Teams of a thread group at most: each has room for a span's weights in shared memory.</summary>
    public const int MaxTeams = 8;

    private const float Lowest = -1e30f;

    [DeviceKernel]
    public static void Store<TCache>(CacheView cache, RowsView keys, RowsView values, int rows)
        where TCache : struct, ICacheFormat
    {
        int keyParts = (cache.KeyLength + 31) / 32, valueParts = (cache.ValueLength + 31) / 32, parts = keyParts + valueParts;
        for (int work = SoloTeam.Index; work < rows * cache.KvHeads * parts; work += SoloTeam.Count)
        {
            int row = work / (cache.KvHeads * parts), head = work / parts % cache.KvHeads, part = work % parts;
            int position = cache.Positions[row] % 32;
            long block = cache.Blocks[row] * cache.BlockBytes;
            if (part < keyParts)
            {
                TCache.StoreKey(cache, KeyGroup(cache, block, head, position), position % 16, keys, row, head * cache.KeyLength, part * 32);
            }
            else
            {
                TCache.StoreValue(cache, Value(cache, block, head, position), values, row, head * cache.ValueLength, (part - keyParts) * 32);
            }
        }
    }

    /// <summary>A team walks all that a (row, head) sees, span by span.</summary>
    /// <param name="sinks">[heads], or empty.</param>
    [DeviceKernel]
    public static void Attend<TCache, TTeam>(CacheView cache, RowsView queries, RowsView output, AttentionForm form, ArrayView<float> sinks, int rows)
        where TCache : struct, ICacheFormat
        where TTeam : struct, ITeam
    {
        ArrayView<float> weights = SharedMemory.Allocate<float>(Span * MaxTeams);
        for (int work = TTeam.Index; work < rows * form.Heads; work += TTeam.Count)
        {
            int row = work / form.Heads, head = work % form.Heads, column = head * cache.ValueLength;
            int last = form.Causal != 0 ? cache.Positions[row] : cache.LastPositions[row], first = FirstVisible(form, cache.Positions[row]);
            float max = Lowest, sum = 0;
            for (int d = TTeam.Lane; d < cache.ValueLength; d += TTeam.Size)
            {
                output.Set(row, column + d, 0);
            }

            for (int span = first / Span * Span; span <= last; span += Span)
            {
                int from = first > span ? first : span, to = last < span + Span - 1 ? last : span + Span - 1;
                float spanMax = Scores<TCache, TTeam>(cache, queries, form, weights, row, head, span, from, to);
                float newMax = spanMax > max ? spanMax : max, factor = Intrinsics.Exp(max - newMax);
                sum = (sum * factor) + Weigh<TTeam>(weights, span, from, to, newMax);
                max = newMax;
                TTeam.Barrier();
                for (int d = TTeam.Lane; d < cache.ValueLength; d += TTeam.Size)
                {
                    output.Set(row, column + d, (output.Get(row, column + d) * factor) + Gathered<TCache, TTeam>(cache, form, weights, row, head, span, from, to, d));
                }

                TTeam.Barrier();
            }

            float scale = Finish(sinks, head, max, sum);
            for (int d = TTeam.Lane; d < cache.ValueLength; d += TTeam.Size)
            {
                output.Set(row, column + d, output.Get(row, column + d) * scale);
            }
        }
    }

    /// <summary>A team takes one span of a (row, head): for few rows over a long context. What it finds is put together by <see cref="Merge"/>.</summary>
    /// <param name="partial">[rows × heads × spans][value length + 2]: weighted values, maximum, sum.</param>
    /// <param name="spans">Spans of the longest sequence.</param>
    [DeviceKernel]
    public static void AttendSpans<TCache, TTeam>(CacheView cache, RowsView queries, RowsView partial, AttentionForm form, int rows, int spans)
        where TCache : struct, ICacheFormat
        where TTeam : struct, ITeam
    {
        ArrayView<float> weights = SharedMemory.Allocate<float>(Span * MaxTeams);
        for (int work = TTeam.Index; work < rows * form.Heads * spans; work += TTeam.Count)
        {
            int head = work % form.Heads, row = work / form.Heads % rows, span = work / (form.Heads * rows) * Span;
            int slot = (((row * form.Heads) + head) * spans) + (span / Span);
            int last = form.Causal != 0 ? cache.Positions[row] : cache.LastPositions[row], first = FirstVisible(form, cache.Positions[row]);
            int from = first > span ? first : span, to = last < span + Span - 1 ? last : span + Span - 1;
            float max = Lowest, sum = 0;
            if (from <= to)
            {
                max = Scores<TCache, TTeam>(cache, queries, form, weights, row, head, span, from, to);
                sum = Weigh<TTeam>(weights, span, from, to, max);
                TTeam.Barrier();
                for (int d = TTeam.Lane; d < cache.ValueLength; d += TTeam.Size)
                {
                    partial.Set(slot, d, Gathered<TCache, TTeam>(cache, form, weights, row, head, span, from, to, d));
                }

                TTeam.Barrier();
            }

            if (TTeam.Lane == 0)
            {
                partial.Set(slot, cache.ValueLength, max);
                partial.Set(slot, cache.ValueLength + 1, sum);
            }
        }
    }

    /// <summary>Puts the spans of each (row, head) together, in order of position.</summary>
    [DeviceKernel]
    public static void Merge<TTeam>(RowsView partial, RowsView output, ArrayView<float> sinks, int rows, int heads, int spans, int valueLength)
        where TTeam : struct, ITeam
    {
        for (int work = TTeam.Index; work < rows * heads; work += TTeam.Count)
        {
            int row = work / heads, head = work % heads;
            float max = Lowest, sum = 0;
            for (int span = 0; span < spans; span++)
            {
                float spanMax = partial.Get((work * spans) + span, valueLength), newMax = spanMax > max ? spanMax : max;
                sum = (sum * Intrinsics.Exp(max - newMax)) + (partial.Get((work * spans) + span, valueLength + 1) * Intrinsics.Exp(spanMax - newMax));
                max = newMax;
            }

            float scale = Finish(sinks, head, max, sum);
            for (int d = TTeam.Lane; d < valueLength; d += TTeam.Size)
            {
                float value = 0;
                for (int span = 0; span < spans; span++)
                {
                    if (partial.Get((work * spans) + span, valueLength + 1) > 0)
                    {
                        value += partial.Get((work * spans) + span, d) * Intrinsics.Exp(partial.Get((work * spans) + span, valueLength) - max);
                    }
                }

                output.Set(row, (head * valueLength) + d, value * scale);
            }
        }
    }

    private static float Scores<TCache, TTeam>(CacheView cache, RowsView queries, AttentionForm form, ArrayView<float> weights, int row, int head, int span, int from, int to)
        where TCache : struct, ICacheFormat
        where TTeam : struct, ITeam
    {
        int kvHead = head / (form.Heads / cache.KvHeads), table = cache.Slots[row] * cache.TableLength, own = (TTeam.Slot * Span) - span;
        float max = Lowest, slope = form.AlibiBias == 0 ? 0 : Slope(form, head);
        for (int p = from + TTeam.Lane; p <= to; p += TTeam.Size)
        {
            long block = cache.Tables[table + (p / 32)] * cache.BlockBytes;
            float score = TCache.Score(cache, KeyGroup(cache, block, kvHead, p % 32), p % 16, queries, row, head * cache.KeyLength) * form.Scale;
            score = form.SoftCap == 0 ? score : form.SoftCap * Intrinsics.Tanh(score / form.SoftCap);
            int distance = cache.Positions[row] - p;
            score -= slope * (distance < 0 ? -distance : distance);
            weights[own + p] = score;
            max = score > max ? score : max;
        }

        return TTeam.Max(max);
    }

    /// <summary>Turns scores into weights; each thread those that it scored. Returns their sum.</summary>
    private static float Weigh<TTeam>(ArrayView<float> weights, int span, int from, int to, float max)
        where TTeam : struct, ITeam
    {
        int own = (TTeam.Slot * Span) - span;
        float sum = 0;
        for (int p = from + TTeam.Lane; p <= to; p += TTeam.Size)
        {
            float weight = Intrinsics.Exp(weights[own + p] - max);
            weights[own + p] = weight;
            sum += weight;
        }

        return TTeam.Sum(sum);
    }

    /// <summary>One dimension of the values of a span, each by its weight.</summary>
    private static float Gathered<TCache, TTeam>(CacheView cache, AttentionForm form, ArrayView<float> weights, int row, int head, int span, int from, int to, int dimension)
        where TCache : struct, ICacheFormat
        where TTeam : struct, ITeam
    {
        int kvHead = head / (form.Heads / cache.KvHeads), table = cache.Slots[row] * cache.TableLength, own = (TTeam.Slot * Span) - span;
        float sum = 0;
        for (int p = from; p <= to; p++)
        {
            long block = cache.Tables[table + (p / 32)] * cache.BlockBytes;
            sum += weights[own + p] * TCache.Value(cache, Value(cache, block, kvHead, p % 32), dimension);
        }

        return sum;
    }

    /// <summary>Powers of one base for the largest power of two of heads, odd powers of its root for the others.</summary>
    private static float Slope(AttentionForm form, int head)
    {
        const float Ln2 = 0.69314718f;
        float exponent = head < form.AlibiHeads
            ? form.AlibiBias / form.AlibiHeads * (head + 1)
            : form.AlibiBias / 2 / form.AlibiHeads * ((2 * (head - form.AlibiHeads)) + 1);
        return Intrinsics.Exp(-Ln2 * exponent);
    }

    private static int FirstVisible(AttentionForm form, int position)
    {
        int first = form.WindowKind == 1 ? position - form.Window + 1 : form.WindowKind == 2 ? position / form.Window * form.Window : 0;
        return first > 0 ? first : 0;
    }

    /// <summary>The factor that makes an average of the weighted sum, the sink's weight included.</summary>
    private static float Finish(ArrayView<float> sinks, int head, float max, float sum)
    {
        float factor = 1;
        if (sinks.Length > 0)
        {
            float sink = sinks[head], newMax = sink > max ? sink : max;
            factor = Intrinsics.Exp(max - newMax);
            sum = (sum * factor) + Intrinsics.Exp(sink - newMax);
        }

        return sum > 0 ? factor / sum : 0;
    }

    private static long KeyGroup(CacheView cache, long block, int head, int position) => block + (((head * 2) + (position / 16)) * (long)cache.KeyGroupBytes);

    private static long Value(CacheView cache, long block, int head, int position) => block + cache.ValueStart + (((head * 32) + position) * (long)cache.ValueBytes);
}
