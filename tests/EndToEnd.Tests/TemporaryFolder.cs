namespace Lamina.EndToEnd.Tests;

/// <summary>A temporary folder of a test's own, which processes can be made to use as theirs, to see what they leave in it.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("lamina-test-").FullName;

    public IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string> { ["TMPDIR"] = Path };

    /// <summary>What lies in it, but for the runtime's own diagnostic sockets.</summary>
    public string[] Entries => [.. Directory.GetFileSystemEntries(Path).Where(entry => !System.IO.Path.GetFileName(entry).StartsWith("dotnet-diagnostic", StringComparison.Ordinal)
        && !System.IO.Path.GetFileName(entry).StartsWith("clr-debug-pipe", StringComparison.Ordinal))];

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
