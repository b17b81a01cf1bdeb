namespace Lamina.Compute.Gpu;

/// <summary>
/// A process' exclusive hold on a GPU: as a node belongs to one tenant, a GPU serves one tenant at a time. A lock on a file in the machine's temporary folder, gone with the process.
/// </summary>
internal sealed class GpuLease : IDisposable
{
    private readonly FileStream _file;

    private GpuLease(FileStream file) => _file = file;

    /// <param name="address">Of the GPU on its bus.</param>
    public static GpuLease Take(string name, string address)
    {
        string path = Path.Combine(Path.GetTempPath(), $"lamina-gpu-{address}.lock");
        try
        {
            return new GpuLease(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NotSupportedException($"{name} is in use by another process ({path} is held): a GPU serves one node at a time", e);
        }
    }

    public void Dispose() => _file.Dispose();
}
