using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Coordinator.Models;

/// <summary>Takes a file that is open into the store, by its descriptor and not by its name: what was read is what is kept, whatever the name means by now.</summary>
internal static partial class FileLink
{
    private const int CurrentDirectory = -100;
    private const int FollowSymbolicLink = 0x400;
    private const UnixFileMode ReadOnly = UnixFileMode.UserRead;

    /// <summary>Gives the file a second name where the file system allows one, else copies it.</summary>
    public static void LinkOrCopy(SafeFileHandle source, string destination)
    {
        File.Delete(destination);
        if (!OperatingSystem.IsLinux() || Link(CurrentDirectory, NameOf(source), CurrentDirectory, destination, FollowSymbolicLink) != 0)
        {
            Copy(source, destination);
        }
    }

    /// <summary>Copies the file; the copy can be read by its owner alone and written by nobody. Shares blocks where the file system can.</summary>
    public static void Copy(SafeFileHandle source, string destination)
    {
        string partial = destination + ".partial";
        try
        {
            if (OperatingSystem.IsLinux())
            {
                File.Copy(NameOf(source), partial, overwrite: true);
                File.SetUnixFileMode(partial, ReadOnly);
            }
            else
            {
                using FileStream target = File.Create(partial);
                byte[] buffer = new byte[1 << 20];
                for (long offset = 0; RandomAccess.Read(source, buffer, offset) is int read && read > 0; offset += read)
                {
                    target.Write(buffer, 0, read);
                }
            }

            File.Move(partial, destination, overwrite: true);
        }
        finally
        {
            File.Delete(partial);
        }
    }

    private static string NameOf(SafeFileHandle file) => $"/proc/self/fd/{file.DangerousGetHandle()}";

    [LibraryImport("libc", EntryPoint = "linkat", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(int sourceFolder, string source, int destinationFolder, string destination, int flags);
}
