namespace Lamina.Cluster.Tests.Support;

/// <summary>A folder of one test's own, deleted with it.</summary>
internal sealed class TestFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("lamina-cluster-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
