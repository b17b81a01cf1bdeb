namespace Lamina.Compute.Synthesis;

/// <summary>Roughly normal numbers as a pure function of (seed, stream, index): the same on every machine and for every order of evaluation.</summary>
internal readonly struct CounterNormal(ulong seed, string stream)
{
    private readonly ulong key = Mix(seed ^ Hash(stream));

    public ulong Bits(long index) => Mix(key + ((ulong)index * 0x9E37_79B9_7F4A_7C15));

    /// <summary>Mean 0, variance 1, within ±√12: the sum of four uniform 16-bit numbers (Irwin-Hall), which needs no transcendental function.</summary>
    public float Value(long index)
    {
        ulong bits = Bits(index);
        uint sum = (ushort)bits + (uint)(ushort)(bits >> 16) + (ushort)(bits >> 32) + (ushort)(bits >> 48);
        return ((int)sum - 131_070) * (1.7320508f / 65_536);
    }

    /// <summary>Values [first, first + length) times <paramref name="deviation"/> plus <paramref name="mean"/>.</summary>
    public void Fill(Span<float> values, long first, float deviation, float mean = 0)
    {
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (Value(first + i) * deviation) + mean;
        }
    }

    /// <summary>The finaliser of SplitMix64.</summary>
    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }

    /// <summary>FNV-1a.</summary>
    private static ulong Hash(string text)
    {
        ulong hash = 0xCBF2_9CE4_8422_2325;
        foreach (char c in text)
        {
            hash = (hash ^ c) * 0x100_0000_01B3;
        }

        return hash;
    }
}
