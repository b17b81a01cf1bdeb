namespace Lamina.Cli.Embedded;

/// <summary>
/// A folder for one run of an embedded cell, with its leaf keys: deleted when the run ends, and by the next run where it was killed first. The run holds a lock on a file
/// in it; whoever gets that lock knows that the run is over.
/// </summary>
internal sealed class WorkFolder : IDisposable
{
    private const string Prefix = "lamina-run-";
    private const string LockName = "running";

    private readonly FileStream _lock;

    private WorkFolder(string path)
    {
        Path = path;
        _lock = new FileStream(System.IO.Path.Combine(path, LockName), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, bufferSize: 1);
    }

    public string Path { get; }

    public static WorkFolder Create()
    {
        SweepLeftOnes();
        return new WorkFolder(Directory.CreateTempSubdirectory(Prefix).FullName);
    }

    public void Dispose()
    {
        Directory.Delete(Path, recursive: true);
        _lock.Dispose();
    }

    private static void SweepLeftOnes()
    {
        foreach (string folder in Directory.EnumerateDirectories(System.IO.Path.GetTempPath(), Prefix + "*"))
        {
            try
            {
                using (new FileStream(System.IO.Path.Combine(folder, LockName), FileMode.Open, FileAccess.ReadWrite, FileShare.None))
                {
                    Directory.Delete(folder, recursive: true);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Its run goes on, or it is another user's.
            }
        }
    }
}
