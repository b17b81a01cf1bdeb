using ILGPU;

namespace Lamina.Compute.Gpu.Code;

/// <summary>The largest logits of a row, by a radix search for the smallest of them; a thread group a row.</summary>
internal static class PickCode
{
    /// <summary>Most logits that one row can ask for.</summary>
    public const int Most = 512;

    private const int Digits = 256;

    /// <param name="sums">[rows][3]: maximum, sum of e^(logit - maximum), number found (as a float).</param>
    /// <param name="ids">[rows][most].</param>
    [DeviceKernel]
    public static void PickLargest(RowsView logits, RowsView sums, ArrayView<int> ids, ArrayView<float> values, int rows, int length, int most)
    {
        ArrayView<int> counts = SharedMemory.Allocate<int>(Digits), state = SharedMemory.Allocate<int>(4);
        for (int row = Grid.IdxX; row < rows; row += Grid.DimX)
        {
            float max = float.NegativeInfinity;
            for (int i = Group.IdxX; i < length; i += Group.DimX)
            {
                float value = logits.Get(row, i);
                max = Intrinsics.IsFinite(value) && value > max ? value : max;
            }

            max = GroupTeam.Max(max);
            float sum = 0;
            for (int i = Group.IdxX; i < length; i += Group.DimX)
            {
                float value = logits.Get(row, i);
                sum += Intrinsics.IsFinite(value) ? Intrinsics.Exp(value - max) : 0;
            }

            sum = GroupTeam.Sum(sum);

            // Digit by digit, from above: which rank has the most-th largest.
            uint prefix = 0;
            int wanted = most;
            for (int shift = 24; shift >= 0; shift -= 8)
            {
                for (int i = Group.IdxX; i < Digits; i += Group.DimX)
                {
                    counts[i] = 0;
                }

                Group.Barrier();
                for (int i = Group.IdxX; i < length; i += Group.DimX)
                {
                    uint rank = Rank(logits.Get(row, i));
                    if (shift == 24 || rank >> (shift + 8) == prefix >> (shift + 8))
                    {
                        Atomic.Add(ref counts[(int)((rank >> shift) & 255)], 1);
                    }
                }

                Group.Barrier();
                if (Group.IdxX == 0)
                {
                    int digit = Digits - 1, above = 0;
                    while (digit > 0 && above + counts[digit] < wanted)
                    {
                        above += counts[digit--];
                    }

                    state[0] = digit;
                    state[1] = wanted - above;
                    state[3] = counts[digit];
                }

                Group.Barrier();
                prefix |= (uint)state[0] << shift;
                wanted = state[1];
                Group.Barrier();
            }

            if (Group.IdxX == 0)
            {
                state[2] = 0;
            }

            Group.Barrier();
            bool takesEquals = prefix > 0 && state[3] <= wanted;
            for (int i = Group.IdxX; i < length; i += Group.DimX)
            {
                uint rank = Rank(logits.Get(row, i));
                if (rank > prefix || (rank == prefix && takesEquals))
                {
                    int place = Atomic.Add(ref state[2], 1);
                    ids[(row * most) + place] = i;
                    values[(row * most) + place] = logits.Get(row, i);
                }
            }

            Group.Barrier();
            if (Group.IdxX == 0)
            {
                // Of too many that equal the smallest, the first ones.
                int place = state[2];
                for (int i = 0; prefix > 0 && !takesEquals && i < length && place < most; i++)
                {
                    if (Rank(logits.Get(row, i)) == prefix)
                    {
                        ids[(row * most) + place] = i;
                        values[(row * most) + place] = logits.Get(row, i);
                        place++;
                    }
                }

                sums.Set(row, 0, max);
                sums.Set(row, 1, sum);
                sums.Set(row, 2, place);
            }

            Group.Barrier();
        }
    }

    /// <summary>Orders as floats do; 0 for what is not finite.</summary>
    private static uint Rank(float value)
    {
        uint bits = Interop.FloatAsInt(value);
        return !Intrinsics.IsFinite(value) ? 0 : (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    }
}
