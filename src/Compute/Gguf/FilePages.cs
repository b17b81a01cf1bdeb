using System.Runtime.InteropServices;

namespace Lamina.Compute.Gguf;

/// <summary>Memory that a file is mapped into.</summary>
public static partial class FilePages
{
    private const int DontNeed = 4;

    /// <summary>
    /// Lets whole pages of a file's read-only mapping go: this process no longer counts them, and reads them again from the file when they are touched. Never call it on other
    /// memory, whose content it would lose.
    /// </summary>
    public static void Release(nint address, long length)
    {
        long page = Environment.SystemPageSize;
        long first = (address + page - 1) / page * page;
        long end = (address + length) / page * page;
        if (OperatingSystem.IsLinux() && end > first)
        {
            // Advice: where it is not taken, nothing is lost.
            _ = Advise((nint)first, (nuint)(end - first), DontNeed);
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Advise(nint address, nuint length, int advice);
}
