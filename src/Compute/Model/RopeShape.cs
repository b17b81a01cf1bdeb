using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model;

/// <summary>How rotation frequencies are stretched beyond the trained context.</summary>
internal enum RopeScaling
{
    None,

    /// <summary>Positions divided by the factor.</summary>
    Linear,

    /// <summary>Fast pairs as trained, slow ones divided by the factor, a ramp between (arXiv 2309.00071).</summary>
    Yarn,

    /// <summary>A divisor for every pair from one of two tensors, chosen by the context's length (arXiv 2402.13753).</summary>
    LongRope,
}

/// <summary>Rotary position embedding as the metadata describes it.</summary>
internal sealed record RopeShape
{
    public required RopePairing Pairing { get; init; }

    /// <summary>Leading dimensions of a head that rotate, even.</summary>
    public required int Dimensions { get; init; }

    public required float Base { get; init; }

    public RopeScaling Scaling { get; init; }

    /// <summary>Positions become position / Factor.</summary>
    public float Factor { get; init; } = 1;

    public required int OriginalContext { get; init; }

    /// <summary>Extra factor on sine and cosine.</summary>
    public float AttentionFactor { get; init; } = 1;

    public float BetaFast { get; init; } = 32;
    public float BetaSlow { get; init; } = 1;

    /// <summary>DeepSeek's multiplier on YaRN's logarithm; 0 = the standard formula.</summary>
    public float YarnLogMultiplier { get; init; }

    /// <param name="factors">[Dimensions / 2], divisors of the frequencies, or null.</param>
    public RopeAngles Angles(float[]? factors)
    {
        int pairs = Dimensions / 2;
        var frequencies = new double[pairs];
        (double low, double high) = Scaling == RopeScaling.Yarn ? (Corrected(BetaFast, ceiling: false), Corrected(BetaSlow, ceiling: true)) : (0, 0);
        for (int i = 0; i < pairs; i++)
        {
            double trained = ExactMath.Pow(Base, -2.0 * i / Dimensions) / (factors?[i] ?? 1);
            double stretched = trained / Factor;
            if (Scaling == RopeScaling.Yarn)
            {
                double ramp = 1 - Math.Clamp((i - low) / Math.Max(0.001, high - low), 0, 1);
                stretched = (stretched * (1 - ramp)) + (trained * ramp);
            }

            frequencies[i] = stretched;
        }

        return new RopeAngles(Pairing, frequencies, Magnitude());
    }

    /// <summary>1 + 0.1 multiplier ln(factor), YaRN's answer to flatter attention over longer contexts.</summary>
    public static double YarnMagnitude(float factor, float multiplier) => factor <= 1 ? 1 : 1 + (0.1 * multiplier * ExactMath.Log(factor));

    private float Magnitude()
    {
        if (Scaling != RopeScaling.Yarn)
        {
            return AttentionFactor;
        }

        double yarn = YarnLogMultiplier == 0 ? YarnMagnitude(Factor, 1) : 1;
        return (float)(yarn * AttentionFactor);
    }

    /// <summary>The pair that turns <paramref name="rotations"/> times over the original context.</summary>
    private double Corrected(float rotations, bool ceiling)
    {
        double pair = Dimensions * ExactMath.Log(OriginalContext / (rotations * 2 * Math.PI)) / (2 * ExactMath.Log(Base));
        return Math.Clamp(ceiling ? Math.Ceiling(pair) : Math.Floor(pair), 0, Dimensions - 1);
    }
}
