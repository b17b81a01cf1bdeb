using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels.Lanes;

/// <summary>The definition: sixteen floats, one after the other.</summary>
[InlineArray(16)]
internal unsafe struct LanesScalar : ILanes<LanesScalar>
{
    private float _first;

    public static LanesScalar Broadcast(float value)
    {
        LanesScalar result = default;
        ((Span<float>)result).Fill(value);
        return result;
    }

    public static LanesScalar Load(float* source)
    {
        LanesScalar result = default;
        for (int i = 0; i < 16; i++)
        {
            result[i] = source[i];
        }

        return result;
    }

    public static void Store(LanesScalar value, float* destination)
    {
        for (int i = 0; i < 16; i++)
        {
            destination[i] = value[i];
        }
    }

    public static LanesScalar LoadHalf(ushort* source)
    {
        LanesScalar result = default;
        for (int i = 0; i < 16; i++)
        {
            result[i] = HalfBits.ToSingle(source[i]);
        }

        return result;
    }

    public static LanesScalar LoadSByte(sbyte* source)
    {
        LanesScalar result = default;
        for (int i = 0; i < 16; i++)
        {
            result[i] = source[i];
        }

        return result;
    }

    public static LanesScalar LoadNibbles(byte* source, int shift)
    {
        LanesScalar result = default;
        for (int i = 0; i < 16; i++)
        {
            result[i] = ((source[i] >> shift) & 15) - 8;
        }

        return result;
    }

    public static LanesScalar operator +(LanesScalar left, LanesScalar right)
    {
        for (int i = 0; i < 16; i++)
        {
            left[i] += right[i];
        }

        return left;
    }

    public static LanesScalar operator -(LanesScalar left, LanesScalar right)
    {
        for (int i = 0; i < 16; i++)
        {
            left[i] -= right[i];
        }

        return left;
    }

    public static LanesScalar operator *(LanesScalar left, LanesScalar right)
    {
        for (int i = 0; i < 16; i++)
        {
            left[i] *= right[i];
        }

        return left;
    }

    public static LanesScalar operator /(LanesScalar left, LanesScalar right)
    {
        for (int i = 0; i < 16; i++)
        {
            left[i] /= right[i];
        }

        return left;
    }

    public static LanesScalar Fma(LanesScalar a, LanesScalar b, LanesScalar c)
    {
        for (int i = 0; i < 16; i++)
        {
            c[i] = MathF.FusedMultiplyAdd(a[i], b[i], c[i]);
        }

        return c;
    }

    public static LanesScalar Max(LanesScalar left, LanesScalar right)
    {
        for (int i = 0; i < 16; i++)
        {
            right[i] = left[i] > right[i] ? left[i] : right[i];
        }

        return right;
    }

    public static LanesScalar Min(LanesScalar left, LanesScalar right)
    {
        for (int i = 0; i < 16; i++)
        {
            right[i] = left[i] < right[i] ? left[i] : right[i];
        }

        return right;
    }

    public static LanesScalar SelectLess(LanesScalar left, LanesScalar right, LanesScalar whenLess, LanesScalar otherwise)
    {
        for (int i = 0; i < 16; i++)
        {
            otherwise[i] = left[i] < right[i] ? whenLess[i] : otherwise[i];
        }

        return otherwise;
    }

    public static LanesScalar Round(LanesScalar value)
    {
        for (int i = 0; i < 16; i++)
        {
            value[i] = MathF.Round(value[i], MidpointRounding.ToEven);
        }

        return value;
    }

    public static LanesScalar PowerOfTwo(LanesScalar n)
    {
        for (int i = 0; i < 16; i++)
        {
            n[i] = BitConverter.Int32BitsToSingle(((int)n[i] + 127) << 23);
        }

        return n;
    }

    public static LanesScalar SwapPairs(LanesScalar value)
    {
        for (int i = 0; i < 16; i += 2)
        {
            (value[i], value[i + 1]) = (value[i + 1], value[i]);
        }

        return value;
    }

    public static float Sum(LanesScalar value)
    {
        for (int half = 8; half > 0; half /= 2)
        {
            for (int i = 0; i < half; i++)
            {
                value[i] += value[i + half];
            }
        }

        return value[0];
    }

    public static float MaxLane(LanesScalar value)
    {
        for (int half = 8; half > 0; half /= 2)
        {
            for (int i = 0; i < half; i++)
            {
                value[i] = value[i] > value[i + half] ? value[i] : value[i + half];
            }
        }

        return value[0];
    }
}
