namespace Lamina.Compute.Kernels.Elementwise;

/// <summary>How far each pair of dimensions turns per position, and the factor by which its result is scaled.</summary>
/// <param name="Pairing">Which dimensions form a pair.</param>
/// <param name="Frequencies">[dimensions / 2], radians per position.</param>
/// <param name="Magnitude">Factor on sine and cosine: YaRN's and LongRoPE's attention scaling, else 1.</param>
internal sealed record RopeAngles(RopePairing Pairing, double[] Frequencies, float Magnitude)
{
    /// <summary>Leading dimensions of a head that rotate; the rest stay.</summary>
    public int Dimensions => 2 * Frequencies.Length;

    /// <summary>Writes the factors of one position in the layout that <see cref="Rope.Head{T}"/> reads: both [dimensions].</summary>
    public unsafe void Write(int position, float* cosines, float* sines)
    {
        int pairs = Frequencies.Length;
        for (int i = 0; i < pairs; i++)
        {
            (double sin, double cos) = ExactMath.SinCos(position * Frequencies[i]);
            int first = Pairing == RopePairing.Interleaved ? 2 * i : i;
            int second = Pairing == RopePairing.Interleaved ? first + 1 : i + pairs;
            cosines[first] = cosines[second] = (float)cos * Magnitude;
            sines[second] = (float)sin * Magnitude;
            sines[first] = -sines[second];
        }
    }
}
