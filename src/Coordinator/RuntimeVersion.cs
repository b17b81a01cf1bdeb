namespace Lamina.Coordinator;

/// <summary>Which .NET runtimes have the fixes that a server on the network needs.</summary>
internal static class RuntimeVersion
{
    /// <summary>10.0.13 fixes request parsing flaws of ASP.NET Core of October 2026.</summary>
    public static Version Minimum { get; } = new(10, 0, 13);

    /// <summary>One sentence for the log; null when the runtime is new enough.</summary>
    public static string? Advice(Version runtime) => runtime < Minimum
        ? $"this runs on .NET {runtime}, which lacks security fixes of {Minimum}: update the runtime before other machines reach this one"
        : null;
}
