namespace Lamina.Compute.Synthesis;

/// <summary>Divisors of rotary frequencies as Llama 3.1 defines them.</summary>
internal static class RopeFactors
{
    private const float OriginalContext = 8192;
    private const float LowFrequencyFactor = 1;
    private const float HighFrequencyFactor = 4;

    /// <summary>1 for wavelengths far below the original context, <paramref name="factor"/> far above it, between them a blend of frequencies.</summary>
    public static float[] Llama3(int headLength, float ropeBase, float factor)
    {
        var divisors = new float[headLength / 2];
        for (int i = 0; i < divisors.Length; i++)
        {
            double wavelength = 2 * Math.PI * Math.Pow(ropeBase, 2.0 * i / headLength);
            double turns = OriginalContext / wavelength;
            double blend = Math.Clamp((turns - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor), 0, 1);
            divisors[i] = (float)(1 / (((1 - blend) / factor) + blend));
        }

        return divisors;
    }
}
