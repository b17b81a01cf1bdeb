using Lamina.Coordinator.Models.Trust;

namespace Lamina.Coordinator;

/// <summary>Which models a cell takes in, and how; section <c>Import</c> of a cell.</summary>
public sealed record ModelImportOptions
{
    /// <summary>The lowest level that this cell runs; others are refused before their tensors are read.</summary>
    public ModelTrust LeastTrust { get; init; } = ModelTrust.Untrusted;

    /// <summary>PEM files of the public keys (P-256) whose signature makes a model trusted.</summary>
    public IReadOnlyList<string> SigningKeys { get; init; } = [];

    /// <summary>The largest model, all parts together.</summary>
    public long MaxBytes { get; init; } = 2L << 40;

    /// <summary>Whether the headers of untrusted models are parsed first in a process of their own, with a memory limit and without a network.</summary>
    public bool Sandbox { get; init; } = true;

    /// <summary>False: model files on the store's file system get a second name instead of a copy, and whoever may write them can break the model (never anything else).</summary>
    public bool CopyFiles { get; init; } = true;
}
