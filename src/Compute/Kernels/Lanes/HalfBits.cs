namespace Lamina.Compute.Kernels.Lanes;

/// <summary>Half precision as kernels store it: finite values only.</summary>
internal static class HalfBits
{
    /// <summary>2^112: the difference of the exponent biases of float and half.</summary>
    public const float ExponentScale = 5.192296858534828e33f;

    private const float Largest = 65504;

    /// <summary>Rounded to nearest even; what lies outside the range becomes the largest finite value, NaN the largest positive one.</summary>
    public static ushort FromSingle(float value)
    {
        float bounded = value < Largest ? value : Largest;
        bounded = bounded > -Largest ? bounded : -Largest;
        return BitConverter.HalfToUInt16Bits((Half)bounded);
    }

    public static float ToSingle(ushort bits)
    {
        float magnitude = BitConverter.Int32BitsToSingle((bits & 0x7FFF) << 13) * ExponentScale;
        return (bits & 0x8000) == 0 ? magnitude : -magnitude;
    }
}
