using Lamina.Compute.Quantization.Formats;

namespace Lamina.Compute.Quantization;

/// <summary>Integers -4 to 3.</summary>
internal readonly struct LinearLevels8 : ILevels
{
    public static ReadOnlySpan<float> Extremes => [-4f, -3.9f, -3.8f, -3.7f, -3.6f, -3.5f, -3.4f, -3.3f, -3.2f, -3.1f, -4.1f, -4.2f, -4.3f, -4.4f, -4.5f, -4.6f, -4.7f, -4.8f, -4.9f];

    public static float Nearest(float x) => Math.Clamp(MathF.Round(x), -4, 3);
}

/// <summary>Integers -8 to 7.</summary>
internal readonly struct LinearLevels16 : ILevels
{
    public static ReadOnlySpan<float> Extremes => [-8f, -7.9f, -7.8f, -7.7f, -7.6f, -7.5f, -7.4f, -7.3f, -7.2f, -7.1f, -8.1f, -8.2f, -8.3f, -8.4f, -8.5f, -8.6f, -8.7f, -8.8f, -8.9f];

    public static float Nearest(float x) => Math.Clamp(MathF.Round(x), -8, 7);
}

/// <summary>Integers -16 to 15.</summary>
internal readonly struct LinearLevels32 : ILevels
{
    public static ReadOnlySpan<float> Extremes => [-16f, -15.8f, -15.6f, -15.4f, -15.2f, -15f, -16.2f, -16.4f, -16.6f, -16.8f];

    public static float Nearest(float x) => Math.Clamp(MathF.Round(x), -16, 15);
}

/// <summary>Integers -32 to 31.</summary>
internal readonly struct LinearLevels64 : ILevels
{
    public static ReadOnlySpan<float> Extremes => [-32f, -31.9f, -31.8f, -31.7f, -31.6f, -31.5f, -31.4f, -31.3f, -31.2f, -31.1f, -32.1f, -32.2f, -32.3f, -32.4f, -32.5f, -32.6f, -32.7f, -32.8f, -32.9f];

    public static float Nearest(float x) => Math.Clamp(MathF.Round(x), -32, 31);
}

/// <summary>The sixteen levels of <see cref="IQ4_NL"/>.</summary>
internal readonly struct UnevenLevels : ILevels
{
    public static ReadOnlySpan<float> Extremes => [-127f, -134f, -133f, -132f, -131f, -130f, -129f, -128f, -126f, -125f, -124f, -123f, -122f, -121f, -120f, 113f];

    public static float Nearest(float x) => IQ4_NL.Levels[NearestIndex(x)];

    public static int NearestIndex(float x)
    {
        ReadOnlySpan<sbyte> levels = IQ4_NL.Levels;
        int index = 0;
        for (int step = 8; step > 0; step >>= 1)
        {
            // Twice the midpoint of two neighbouring levels.
            if (x + x >= levels[index + step - 1] + levels[index + step])
            {
                index += step;
            }
        }

        return index;
    }
}
