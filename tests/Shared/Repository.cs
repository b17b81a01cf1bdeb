namespace Lamina.TestSupport;

/// <summary>Finds the repository and the reference data that stands beside it on a developer's machine.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>Path of a file under <c>../shared</c>; skips the running test where that folder is absent.</summary>
    public static string Shared(string relativePath)
    {
        string path = Path.GetFullPath(Path.Combine(Root, "..", "shared", relativePath));
        Assert.SkipUnless(Path.Exists(path), $"reference data shared/{relativePath} is not on this machine");
        return path;
    }

    public static string File(string relativePath) => Path.Combine(Root, relativePath);

    private static string FindRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !System.IO.File.Exists(Path.Combine(folder, "Lamina.slnx")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder ?? throw new InvalidOperationException("Lamina.slnx not found above the test binaries");
    }
}
