using System.Runtime.CompilerServices;
using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Elementwise;

/// <summary>What stands between the two matrices of a feed-forward block.</summary>
public enum Activation
{
    Silu,

    /// <summary>x × Φ(x) in its tanh form.</summary>
    Gelu,

    /// <summary>max(x, 0)².</summary>
    ReluSquared,

    /// <summary>gpt-oss: gate × sigmoid(1.702 gate) × (up + 1), the gate bounded above by 7, the other within ±7; only gated.</summary>
    SwigluOai,
}

/// <summary>One activation: f(gate), and f(gate) combined with the other half of a gated block.</summary>
internal interface IActivation
{
    static abstract T Apply<T>(T x)
        where T : struct, ILanes<T>;

    static virtual T Gate<T, TSelf>(T gate, T up)
        where T : struct, ILanes<T>
        where TSelf : IActivation
        => TSelf.Apply(gate) * up;
}

internal readonly struct Silu : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T x)
        where T : struct, ILanes<T>
        => x / (T.Broadcast(1f) + LaneMath.Exp(T.Broadcast(0) - x));
}

internal readonly struct Gelu : IActivation
{
    /// <summary>x/2 (1 + tanh u) = x / (1 + e^-2u) with u = sqrt(2/π) (x + 0.044715 x³).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T x)
        where T : struct, ILanes<T>
    {
        T inner = T.Fma(x * x * x, T.Broadcast(0.044715f), x);
        return x / (T.Broadcast(1f) + LaneMath.Exp(inner * T.Broadcast(-1.5957691216f)));
    }
}

internal readonly struct ReluSquared : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T x)
        where T : struct, ILanes<T>
    {
        T positive = T.Max(x, T.Broadcast(0));
        return positive * positive;
    }
}

internal readonly struct SwigluOai : IActivation
{
    private const float Limit = 7f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(T x)
        where T : struct, ILanes<T>
    {
        T bounded = T.Min(x, T.Broadcast(Limit));
        return bounded / (T.Broadcast(1f) + LaneMath.Exp(bounded * T.Broadcast(-1.702f)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Gate<T, TSelf>(T gate, T up)
        where T : struct, ILanes<T>
        where TSelf : IActivation
        => Apply(gate) * (T.Max(T.Min(up, T.Broadcast(Limit)), T.Broadcast(-Limit)) + T.Broadcast(1f));
}
