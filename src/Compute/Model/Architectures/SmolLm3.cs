namespace Lamina.Compute.Model.Architectures;

/// <summary>SmolLM 3: Llama whose every fourth layer does without positions.</summary>
internal static class SmolLm3
{
    private const int Period = 4;

    public static ModelShape Read(HyperParameters p) =>
        Llama.Read(p).WithAttention((attention, i) => (i + 1) % Period == 0 ? attention with { Rope = null } : attention);
}
