namespace Lamina.Coordinator;

/// <summary>What <c>/.well-known/security.txt</c> says of this installation.</summary>
public sealed record SecurityContactOptions
{
    /// <summary>Where its operator wants to be told of a vulnerability: a <c>mailto:</c>, <c>tel:</c> or <c>https:</c> URI.</summary>
    public required string Contact { get; init; }

    /// <summary>Address of its policy of disclosure, as an <c>https:</c> URI.</summary>
    public string? Policy { get; init; }
}
