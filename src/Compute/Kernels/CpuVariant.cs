using System.Runtime.Intrinsics.X86;

namespace Lamina.Compute.Kernels;

/// <summary>Instruction sets that kernels are written for. All of them give the same bits.</summary>
public enum CpuVariant
{
    Scalar,

    /// <summary>AVX2 with FMA.</summary>
    Avx2,

    /// <summary>AVX-512 F, BW, DQ and VL.</summary>
    Avx512,
}

/// <summary>The one place where variants are chosen.</summary>
public static class CpuVariants
{
    /// <summary>Environment variable that forces a variant: <c>scalar</c>, <c>avx2</c> or <c>avx512</c>.</summary>
    public const string Override = "LAMINA_CPU";

    /// <summary>Variants that this machine runs, slowest first.</summary>
    public static IReadOnlyList<CpuVariant> Available { get; } = [.. Enum.GetValues<CpuVariant>().Where(IsAvailable)];

    /// <summary>
    /// The fastest variant available, or the one that the environment asks for. Throws <see cref="NotSupportedException"/> when that is unknown or this
    /// machine lacks it.
    /// </summary>
    public static CpuVariant Chosen => Choose(Environment.GetEnvironmentVariable(Override));

    internal static CpuVariant Choose(string? requested)
    {
        if (string.IsNullOrEmpty(requested))
        {
            return Available[^1];
        }

        return Available.Where(variant => requested.Equals(variant.ToString(), StringComparison.OrdinalIgnoreCase)).ToArray() is [CpuVariant variant]
            ? variant
            : throw new NotSupportedException($"{Override}={requested}: this machine runs {string.Join(", ", Available).ToLowerInvariant()}");
    }

    private static bool IsAvailable(CpuVariant variant) => variant switch
    {
        CpuVariant.Avx512 => Avx512F.IsSupported && Avx512BW.IsSupported && Avx512DQ.IsSupported && Avx512F.VL.IsSupported && Avx2.IsSupported && Fma.IsSupported,
        CpuVariant.Avx2 => Avx2.IsSupported && Fma.IsSupported,
        _ => true,
    };
}
