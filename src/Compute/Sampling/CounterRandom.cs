namespace Lamina.Compute.Sampling;

/// <summary>
/// Random numbers without state: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), key = seed, counter = (position, stream).
/// A generation resumed anywhere draws the same number for the same position.
/// </summary>
internal static class CounterRandom
{
    private const uint Multiplier0 = 0xD2511F53;
    private const uint Multiplier1 = 0xCD9E8D57;
    private const uint Weyl0 = 0x9E3779B9;
    private const uint Weyl1 = 0xBB67AE85;

    /// <summary>A uniform number in [0, 1) of 53 bits. Each use of a position has a stream of its own.</summary>
    public static double Uniform(ulong seed, long position, uint stream)
    {
        (uint low, uint high, _, _) = Block((uint)seed, (uint)(seed >> 32), (uint)position, (uint)(position >> 32), stream, 0);
        return (((ulong)high << 32 | low) >> 11) * (1.0 / (1UL << 53));
    }

    internal static (uint, uint, uint, uint) Block(uint key0, uint key1, uint c0, uint c1, uint c2, uint c3)
    {
        for (int round = 0; round < 10; round++)
        {
            ulong product0 = (ulong)Multiplier0 * c0;
            ulong product1 = (ulong)Multiplier1 * c2;
            (c0, c1, c2, c3) = ((uint)(product1 >> 32) ^ c1 ^ key0, (uint)product1, (uint)(product0 >> 32) ^ c3 ^ key1, (uint)product0);
            key0 += Weyl0;
            key1 += Weyl1;
        }

        return (c0, c1, c2, c3);
    }
}
