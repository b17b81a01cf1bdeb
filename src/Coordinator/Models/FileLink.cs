using System.Runtime.InteropServices;
using Lamina.Cluster.Models;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Coordinator.Models;

/// <summary>Takes a file that is open into the store, by its descriptor and not by its name: what was read is what is kept, whatever the name means by now.</summary>
internal static partial class FileLink
{
    private const int CurrentDirectory = -100;
    private const int FollowSymbolicLink = 0x400;
    private const UnixFileMode ReadOnly = UnixFileMode.UserRead;

    /// <summary>Gives the file a second name where the file system allows one, else copies it.</summary>
    public static void LinkOrCopy(SafeFileHandle source, StoreFolder folder, string name)
    {
        folder.Delete(name);
        using PinnedFolder at = folder.Pin();
        if (!OperatingSystem.IsLinux() || Link(CurrentDirectory, NameOf(source), CurrentDirectory, at.PathOf(name), FollowSymbolicLink) != 0)
        {
            Copy(source, folder, name);
        }
    }

    /// <summary>Copies the file; the copy can be read by its owner alone and written by nobody. Shares blocks where the file system can.</summary>
    public static void Copy(SafeFileHandle source, StoreFolder folder, string name)
    {
        // A name that nobody can have put anything under, and still nothing but a new file is written to.
        string partial = $"{name}.{Guid.NewGuid():N}.partial";
        try
        {
            if (OperatingSystem.IsLinux())
            {
                using PinnedFolder at = folder.Pin();
                File.Copy(NameOf(source), at.PathOf(partial), overwrite: false);
                using SafeFileHandle copy = folder.OpenRead(partial);
                File.SetUnixFileMode(copy, ReadOnly);
            }
            else
            {
                using FileStream target = folder.CreateNew(partial);
                byte[] buffer = new byte[1 << 20];
                for (long offset = 0; RandomAccess.Read(source, buffer, offset) is int read && read > 0; offset += read)
                {
                    target.Write(buffer, 0, read);
                }
            }

            folder.Move(partial, folder, name);
        }
        finally
        {
            folder.Delete(partial);
        }
    }

    private static string NameOf(SafeFileHandle file) => $"/proc/self/fd/{file.DangerousGetHandle()}";

    [LibraryImport("libc", EntryPoint = "linkat", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(int sourceFolder, string source, int destinationFolder, string destination, int flags);
}
