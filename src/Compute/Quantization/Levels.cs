using Lamina.Compute.Quantization.Formats;

namespace Lamina.Compute.Quantization;

/// <summary>Integers -4 to 3.</summary>
internal readonly struct LinearLevels8 : ILevels
{
    public static float First => -4;

    public static float Extreme => -4;

    public static float Step => 0.1f;

    public static int Steps => 9;

    public static float Nearest(float x) => Math.Clamp(MathF.Round(x), -4, 3);

    public static float Product(float weight, float x, float level) => weight * x * level;
}

/// <summary>Integers -8 to 7.</summary>
internal readonly struct LinearLevels16 : ILevels
{
    public static float First => -8;

    public static float Extreme => -8;

    public static float Step => 0.1f;

    public static int Steps => 9;

    public static float Nearest(float x) => Math.Clamp(MathF.Round(x), -8, 7);

    public static float Product(float weight, float x, float level) => weight * x * level;
}

/// <summary>Integers -16 to 15.</summary>
internal readonly struct LinearLevels32 : ILevels
{
    public static float First => -16;

    public static float Extreme => -16;

    public static float Step => 0.1f;

    public static int Steps => 9;

    public static float Nearest(float x) => Math.Clamp(MathF.Round(x), -16, 15);

    public static float Product(float weight, float x, float level) => weight * x * level;
}

/// <summary>Integers -32 to 31.</summary>
internal readonly struct LinearLevels64 : ILevels
{
    public static float First => -32;

    public static float Extreme => -32;

    public static float Step => 0.1f;

    public static int Steps => 9;

    public static float Nearest(float x) => Math.Clamp(MathF.Round(x), -32, 31);

    public static float Product(float weight, float x, float level) => weight * x * level;
}

/// <summary>The sixteen levels of <see cref="IQ4_NL"/>.</summary>
internal readonly struct UnevenLevels : ILevels
{
    public static float First => -IQ4_NL.Levels[0];

    public static float Extreme => IQ4_NL.Levels[0];

    public static float Step => -1;

    public static int Steps => 7;

    public static float Nearest(float x) => IQ4_NL.Levels[NearestIndex(x)];

    public static float Product(float weight, float x, float level) => weight * level * x;

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
