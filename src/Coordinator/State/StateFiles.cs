namespace Lamina.Coordinator.State;

/// <summary>The SQLite file, which only its owner may read.</summary>
internal static class StateFiles
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Creates the empty file with mode 0600, which SQLite's own files beside it take over; refuses one that others can read.</summary>
    public static void Prepare(StateOptions options)
    {
        Directory.CreateDirectory(options.Folder);
        var create = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite };
        if (!OperatingSystem.IsWindows())
        {
            create.UnixCreateMode = OwnerOnly;
        }

        new FileStream(options.SqlitePath, create).Dispose();
        RequireOwnerOnly(options.SqlitePath);
    }

    public static void RequireOwnerOnly(string path)
    {
        // Group read is left alone: a mounted Kubernetes secret has it through fsGroup.
        if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.GroupWrite)) != 0)
        {
            throw new InvalidDataException($"'{path}' is open to other users: set its mode to 0600");
        }
    }
}
