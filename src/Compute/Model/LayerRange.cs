namespace Lamina.Compute.Model;

/// <summary>Layers [<paramref name="First"/>, <paramref name="End"/>) of a model; the end is exclusive.</summary>
public readonly record struct LayerRange(int First, int End)
{
    public int Count => End - First;

    /// <summary>Inclusive, as people write it: "0-7".</summary>
    public override string ToString() => $"{First}-{End - 1}";
}
