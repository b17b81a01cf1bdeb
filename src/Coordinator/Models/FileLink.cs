using System.Runtime.InteropServices;

namespace Lamina.Coordinator.Models;

/// <summary>Gives a file a second name in the store: a hard link where the file system allows one, else a copy.</summary>
internal static class FileLink
{
    public static void LinkOrCopy(string source, string destination)
    {
        File.Delete(destination);
        string target = File.ResolveLinkTarget(source, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(source);
        if (!OperatingSystem.IsWindows() && link(target, destination) == 0)
        {
            return;
        }

        string partial = destination + ".partial";
        try
        {
            File.Copy(target, partial, overwrite: true);
            File.Move(partial, destination, overwrite: true);
        }
        finally
        {
            File.Delete(partial);
        }
    }

    [DllImport("libc", EntryPoint = "link")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int link([MarshalAs(UnmanagedType.LPUTF8Str)] string existing, [MarshalAs(UnmanagedType.LPUTF8Str)] string created);
}
