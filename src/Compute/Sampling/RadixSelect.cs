namespace Lamina.Compute.Sampling;

/// <summary>
/// Finds how far down a ranking one must go to gather a given mass, without sorting: a histogram over the leading 11, then the next 11 and the last 10 bits
/// of the keys. Linear in the worst case. Owns the histogram.
/// </summary>
internal sealed class RadixSelect
{
    private static ReadOnlySpan<int> Shifts => [21, 10, 0];
    private readonly double[] _mass = new double[2048];

    /// <summary>
    /// The smallest set of the highest keys whose weights reach <paramref name="goal"/>: all keys above the returned one, and the first
    /// <c>Ties</c> of those equal to it. Weights are 1 each where <paramref name="weights"/> is empty; everything is kept when the goal is out of reach.
    /// </summary>
    public (uint Key, int Ties) Find(ReadOnlySpan<float> keys, ReadOnlySpan<float> weights, double goal)
    {
        uint prefix = 0, mask = 0;
        foreach (int shift in Shifts)
        {
            uint binMask = shift == 0 ? 1023u : 2047u;
            Array.Clear(_mass);
            for (int i = 0; i < keys.Length; i++)
            {
                uint key = Rank(keys[i]);
                if ((key & mask) == prefix)
                {
                    _mass[(key >> shift) & binMask] += weights.IsEmpty ? 1 : weights[i];
                }
            }

            uint bin = Descend(binMask, ref goal);
            prefix |= bin << shift;
            mask |= binMask << shift;
        }

        int ties = 0;
        for (int i = 0; i < keys.Length && goal > 0; i++)
        {
            if (Rank(keys[i]) == prefix)
            {
                ties++;
                goal -= weights.IsEmpty ? 1 : weights[i];
            }
        }

        return (prefix, ties);
    }

    /// <summary>A number that orders as the float does; both zeros are one. The float must not be NaN.</summary>
    public static uint Rank(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value + 0f);
        return bits ^ ((uint)((int)bits >> 31) | 0x80000000u);
    }

    /// <summary>The bin in which the mass from the top reaches the goal, which is lowered by what lies above; the lowest bin with mass when it is never reached.</summary>
    private uint Descend(uint highest, ref double goal)
    {
        uint lastWithMass = 0;
        double aboveLast = 0, above = 0;
        for (int bin = (int)highest; bin >= 0; bin--)
        {
            if (_mass[bin] > 0)
            {
                lastWithMass = (uint)bin;
                aboveLast = above;
                above += _mass[bin];
                if (above >= goal)
                {
                    break;
                }
            }
        }

        goal -= aboveLast;
        return lastWithMass;
    }
}
