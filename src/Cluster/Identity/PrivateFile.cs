using System.Text;

namespace Lamina.Cluster.Identity;

/// <summary>Writes small files whole: beside their place and then renamed, so that no reader sees half of one.</summary>
internal static class PrivateFile
{
    /// <param name="secret">Readable by the owner alone, from the first byte on.</param>
    public static void Write(string path, string text, bool secret)
    {
        string temporary = $"{path}.{Guid.NewGuid():n}.tmp";
        FileStreamOptions options = new() { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            options.UnixCreateMode = secret ? owner : owner | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        }

        try
        {
            using (FileStream stream = new(temporary, options))
            {
                stream.Write(Encoding.ASCII.GetBytes(text));
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Creates a folder that only its owner enters.</summary>
    public static void CreateFolder(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }
}
