using System.Runtime.InteropServices;

namespace Lamina.Compute.Kernels;

/// <summary>Anonymous mappings of Linux: the system gives a page, zeroed, when it is first touched.</summary>
internal static unsafe partial class MappedMemory
{
    public const long HugePage = 2 << 20;

    private const int ReadWrite = 3;
    private const int PrivateAnonymousNoReserve = 0x4022;
    private const int AdviseHugePages = 14;
    private const long Window = 1L << 30;

    private static readonly long s_page = Environment.SystemPageSize;

    /// <summary>Zeroed memory that starts on a huge page. Throws <see cref="OutOfMemoryException"/> when the system refuses.</summary>
    public static byte* Map(long bytes)
    {
        // The mapping starts on any page: what is too much before and behind the aligned part goes back.
        long length = WholePages(bytes);
        nint start = MapPages(0, (nuint)(length + HugePage), ReadWrite, PrivateAnonymousNoReserve, -1, 0);
        if (start == -1)
        {
            throw new OutOfMemoryException($"the system refuses {bytes} bytes of memory");
        }

        nint aligned = (nint)((start + HugePage - 1) / HugePage * HugePage);
        Unmap(start, aligned - start);
        Unmap((nint)(aligned + length), HugePage - (aligned - start));
        _ = Advise(aligned, (nuint)(length / HugePage * HugePage), AdviseHugePages);
        return (byte*)aligned;
    }

    /// <summary>Zeroes the pages that were ever touched, then gives all back.</summary>
    public static void ClearAndUnmap(byte* memory, long bytes)
    {
        long length = WholePages(bytes);
        byte[] resident = new byte[Math.Min(length, Window) / s_page];
        for (long offset = 0; offset < length; offset += Window)
        {
            long part = Math.Min(Window, length - offset);
            fixed (byte* flags = resident)
            {
                bool known = QueryResident((nint)(memory + offset), (nuint)part, flags) == 0;
                for (long page = 0; page < part / s_page; page++)
                {
                    if (!known || (flags[page] & 1) != 0)
                    {
                        NativeMemory.Clear(memory + offset + (page * s_page), (nuint)s_page);
                    }
                }
            }
        }

        Unmap((nint)memory, length);
    }

    private static long WholePages(long bytes) => (bytes + s_page - 1) / s_page * s_page;

    private static void Unmap(nint address, long length)
    {
        if (length > 0)
        {
            _ = UnmapPages(address, (nuint)length);
        }
    }

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint MapPages(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int UnmapPages(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);

    /// <summary>One byte for each page, its lowest bit set when the page is in memory.</summary>
    [LibraryImport("libc", EntryPoint = "mincore")]
    private static partial int QueryResident(nint address, nuint length, byte* pages);
}
