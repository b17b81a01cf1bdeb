using System.Runtime.Intrinsics;
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

    public static Vector256<float> Nearest(Vector256<float> x) => Vector256.Min(Vector256.Max(Vector256.Round(x), Vector256.Create(-4f)), Vector256.Create(3f));

    public static Vector256<float> Product(float weight, float x, Vector256<float> level) => weight * x * level;
}

/// <summary>Integers -8 to 7.</summary>
internal readonly struct LinearLevels16 : ILevels
{
    public static float First => -8;

    public static float Extreme => -8;

    public static float Step => 0.1f;

    public static int Steps => 9;

    public static float Nearest(float x) => Math.Clamp(MathF.Round(x), -8, 7);

    public static Vector256<float> Nearest(Vector256<float> x) => Vector256.Min(Vector256.Max(Vector256.Round(x), Vector256.Create(-8f)), Vector256.Create(7f));

    public static Vector256<float> Product(float weight, float x, Vector256<float> level) => weight * x * level;
}

/// <summary>Integers -16 to 15.</summary>
internal readonly struct LinearLevels32 : ILevels
{
    public static float First => -16;

    public static float Extreme => -16;

    public static float Step => 0.1f;

    public static int Steps => 9;

    public static float Nearest(float x) => Math.Clamp(MathF.Round(x), -16, 15);

    public static Vector256<float> Nearest(Vector256<float> x) => Vector256.Min(Vector256.Max(Vector256.Round(x), Vector256.Create(-16f)), Vector256.Create(15f));

    public static Vector256<float> Product(float weight, float x, Vector256<float> level) => weight * x * level;
}

/// <summary>Integers -32 to 31.</summary>
internal readonly struct LinearLevels64 : ILevels
{
    public static float First => -32;

    public static float Extreme => -32;

    public static float Step => 0.1f;

    public static int Steps => 9;

    public static float Nearest(float x) => Math.Clamp(MathF.Round(x), -32, 31);

    public static Vector256<float> Nearest(Vector256<float> x) => Vector256.Min(Vector256.Max(Vector256.Round(x), Vector256.Create(-32f)), Vector256.Create(31f));

    public static Vector256<float> Product(float weight, float x, Vector256<float> level) => weight * x * level;
}

/// <summary>The sixteen levels of <see cref="IQ4_NL"/>.</summary>
internal readonly struct UnevenLevels : ILevels
{
    public static float First => -IQ4_NL.Levels[0];

    public static float Extreme => IQ4_NL.Levels[0];

    public static float Step => -1;

    public static int Steps => 7;

    /// <summary>Climbs one level at each midpoint that twice the value reaches; all sums are exact.</summary>
    public static Vector256<float> Nearest(Vector256<float> x)
    {
        ReadOnlySpan<sbyte> levels = IQ4_NL.Levels;
        Vector256<float> level = Vector256.Create((float)levels[0]);
        for (int i = 1; i < levels.Length; i++)
        {
            Vector256<float> reached = Vector256.GreaterThanOrEqual(x + x, Vector256.Create((float)(levels[i - 1] + levels[i])));
            level += reached & Vector256.Create((float)(levels[i] - levels[i - 1]));
        }

        return level;
    }

    public static Vector256<float> Product(float weight, float x, Vector256<float> level) => weight * level * x;

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
