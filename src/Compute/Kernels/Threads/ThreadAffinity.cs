using System.Runtime.InteropServices;

namespace Lamina.Compute.Kernels;

/// <summary>Binds threads to cores where the operating system lets us; a refusal is no error, only slower.</summary>
public static unsafe partial class ThreadAffinity
{
    private const int MaxCores = 1024;

    /// <summary>Returns whether the calling thread is now bound to the core.</summary>
    public static bool BindCurrentThread(int core)
    {
        if (!OperatingSystem.IsLinux() || core is < 0 or >= MaxCores)
        {
            return false;
        }

        ulong* mask = stackalloc ulong[MaxCores / 64];
        new Span<ulong>(mask, MaxCores / 64).Clear();
        mask[core / 64] = 1UL << (core % 64);
        return SetAffinity(0, MaxCores / 8, mask) == 0;
    }

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int SetAffinity(int thread, nuint bytes, ulong* mask);
}
