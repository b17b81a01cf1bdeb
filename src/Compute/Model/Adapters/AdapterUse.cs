namespace Lamina.Compute.Model.Adapters;

/// <summary>An adapter that a sequence's rows pass through, and how strongly.</summary>
/// <param name="Adapter">Number that <see cref="StageAdapters.Load"/> gave.</param>
/// <param name="Scale">1 = as trained, 0 = not at all.</param>
public readonly record struct AdapterUse(int Adapter, float Scale);
