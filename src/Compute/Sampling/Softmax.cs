using System.Runtime.Intrinsics;

namespace Lamina.Compute.Sampling;

/// <summary>
/// Maximum, exponentials and sums over a row of logits. Eight lanes and blocks of 256 at every vector width, and no fused
/// operations, so that scalar, AVX2 and AVX-512 machines get the same bits.
/// </summary>
internal static class Softmax
{
    public const int BlockLength = 256;
    public const int SmallBlock = 64;
    private static readonly int Lanes = Vector256<float>.Count;

    /// <summary>Turns everything that is not finite into minus infinity and returns the largest logit; minus infinity when none is finite.</summary>
    public static float Sanitize(Span<float> logits)
    {
        Vector256<float> infinity = Vector256.Create(float.PositiveInfinity), largest = -infinity;
        int i = 0;
        for (; i <= logits.Length - Lanes; i += Lanes)
        {
            Vector256<float> x = Vector256.Create<float>(logits[i..]);
            Vector256<float> finite = Vector256.LessThan(Vector256.Abs(x), infinity);
            if (finite.AsInt32() != Vector256<int>.AllBitsSet)
            {
                x = Vector256.ConditionalSelect(finite, x, -infinity);
                x.CopyTo(logits[i..]);
            }

            largest = Vector256.ConditionalSelect(Vector256.GreaterThan(x, largest), x, largest);
        }

        float max = float.NegativeInfinity;
        for (int lane = 0; lane < Lanes; lane++)
        {
            max = Math.Max(max, largest[lane]);
        }

        for (; i < logits.Length; i++)
        {
            if (!float.IsFinite(logits[i]))
            {
                logits[i] = float.NegativeInfinity;
            }

            max = Math.Max(max, logits[i]);
        }

        return max;
    }

    /// <summary>Index of the first element equal to <paramref name="value"/>, which must be there.</summary>
    public static int IndexOf(ReadOnlySpan<float> values, float value)
    {
        Vector256<float> wanted = Vector256.Create(value);
        int i = 0;
        while (i <= values.Length - Lanes && !Vector256.EqualsAny(Vector256.Create(values[i..]), wanted))
        {
            i += Lanes;
        }

        while (values[i] != value)
        {
            i++;
        }

        return i;
    }

    /// <summary>The largest of each 64 logits, which must not be NaN.</summary>
    public static void BlockMaxima(ReadOnlySpan<float> logits, Span<float> maxima)
    {
        for (int block = 0; block < maxima.Length; block++)
        {
            ReadOnlySpan<float> part = logits.Slice(block * SmallBlock, Math.Min(SmallBlock, logits.Length - block * SmallBlock));
            Vector256<float> largest = Vector256.Create(float.NegativeInfinity);
            int i = 0;
            for (; i <= part.Length - Lanes; i += Lanes)
            {
                largest = Vector256.Max(largest, Vector256.Create(part[i..]));
            }

            float max = float.NegativeInfinity;
            for (int lane = 0; lane < Lanes; lane++)
            {
                max = Math.Max(max, largest[lane]);
            }

            for (; i < part.Length; i++)
            {
                max = Math.Max(max, part[i]);
            }

            maxima[block] = max;
        }
    }

    /// <summary>weights[i] = exp(logits[i] − max); returns their sum. Where <paramref name="weights"/> is empty, only the sum is made.</summary>
    public static double Exponentiate(ReadOnlySpan<float> logits, float max, Span<float> weights)
    {
        double total = 0;
        for (int block = 0; block < logits.Length; block += BlockLength)
        {
            int end = Math.Min(block + BlockLength, logits.Length);
            Vector256<float> sums = Vector256<float>.Zero;
            int i = block;
            for (; i <= end - Lanes; i += Lanes)
            {
                Vector256<float> weight = Exp(Vector256.Create(logits[i..]) - Vector256.Create(max));
                sums += weight;
                if (!weights.IsEmpty)
                {
                    weight.CopyTo(weights[i..]);
                }
            }

            double sum = Add(sums);
            for (; i < end; i++)
            {
                float weight = Exp(Vector256.Create(logits[i] - max))[0];
                sum += weight;
                if (!weights.IsEmpty)
                {
                    weights[i] = weight;
                }
            }

            total += sum;
        }

        return total;
    }

    /// <summary>Sum in the same order as <see cref="Exponentiate"/> makes it.</summary>
    public static double Sum(ReadOnlySpan<float> values)
    {
        double total = 0;
        for (int block = 0; block < values.Length; block += BlockLength)
        {
            total += SumBlock(values.Slice(block, Math.Min(BlockLength, values.Length - block)));
        }

        return total;
    }

    /// <summary>Index at which the running sum of the weights passes <paramref name="target"/>; the last positive weight when rounding keeps it from passing.</summary>
    public static int Find(ReadOnlySpan<float> weights, double target)
    {
        double before = 0;
        int block = 0;
        int lastPositive = 0;
        while (block < weights.Length)
        {
            double sum = SumBlock(weights.Slice(block, Math.Min(BlockLength, weights.Length - block)));
            if (sum > 0)
            {
                lastPositive = block;
                if (before + sum > target)
                {
                    break;
                }
            }

            before += sum;
            block += BlockLength;
        }

        if (block >= weights.Length)
        {
            block = lastPositive;
            target = double.PositiveInfinity;
        }

        int found = block;
        int end = Math.Min(block + BlockLength, weights.Length);
        for (int i = block; i < end && before <= target; i++)
        {
            before += weights[i];
            found = weights[i] > 0 ? i : found;
        }

        return found;
    }

    private static double SumBlock(ReadOnlySpan<float> values)
    {
        Vector256<float> sums = Vector256<float>.Zero;
        int i = 0;
        for (; i <= values.Length - Lanes; i += Lanes)
        {
            sums += Vector256.Create(values[i..]);
        }

        double sum = Add(sums);
        for (; i < values.Length; i++)
        {
            sum += values[i];
        }

        return sum;
    }

    private static double Add(Vector256<float> v) =>
        (((double)v[0] + v[1]) + ((double)v[2] + v[3])) + (((double)v[4] + v[5]) + ((double)v[6] + v[7]));

    /// <summary>exp(x) for x ≤ 0: x = n·ln 2 + r, Taylor series to r⁷ (relative error below 2⁻²³), 2ⁿ by its bits; 0 below −87.</summary>
    private static Vector256<float> Exp(Vector256<float> x)
    {
        // ln 2 in two parts: the first has so few bits that n times it is exact
        const float Ln2High = 0.693359375f, Ln2Low = -2.12194440e-4f, Smallest = -87f;
        Vector256<float> inRange = Vector256.GreaterThanOrEqual(x, Vector256.Create(Smallest));
        x = Vector256.ConditionalSelect(inRange, x, Vector256<float>.Zero);
        Vector256<float> n = Vector256.Floor(x * 1.44269504f + Vector256.Create(0.5f));
        Vector256<float> r = x - n * Ln2High - n * Ln2Low;
        Vector256<float> sum = Vector256.Create(1f / 5040);
        sum = sum * r + Vector256.Create(1f / 720);
        sum = sum * r + Vector256.Create(1f / 120);
        sum = sum * r + Vector256.Create(1f / 24);
        sum = sum * r + Vector256.Create(1f / 6);
        sum = sum * r + Vector256.Create(0.5f);
        sum = sum * r + Vector256<float>.One;
        sum = sum * r + Vector256<float>.One;
        Vector256<float> power = Vector256.ShiftLeft(Vector256.ConvertToInt32(n) + Vector256.Create(127), 23).AsSingle();
        return Vector256.ConditionalSelect(inRange, sum * power, Vector256<float>.Zero);
    }
}
