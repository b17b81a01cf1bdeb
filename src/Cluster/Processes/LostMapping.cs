using System.Runtime.InteropServices;

namespace Lamina.Cluster.Processes;

/// <summary>
/// A file that is mapped into memory may be shortened by whoever owns it, or its disk may fail; the next access to what is gone is a signal (SIGBUS), of which the runtime knows nothing but to die with
/// a dump of its stacks. With this it ends with one sentence and exit code 1. No managed code can run at that moment, on whichever thread it is: the handler is a few instructions of the machine,
/// two system calls without a stack.
/// </summary>
public static unsafe partial class LostMapping
{
    private const int BusError = 7;
    private const int Read = 1, Write = 2, Execute = 4;
    private const int PrivateAnonymous = 0x22;
    private const int OnAlternateStack = 0x08000000;

    /// <summary>From now on, until the process ends. Does nothing where the system or the machine is not one that is known here.</summary>
    /// <param name="sentence">ASCII, without the line's end.</param>
    public static bool EndsWith(string sentence)
    {
        byte[] text = System.Text.Encoding.ASCII.GetBytes(sentence + "\n");
        byte[] code = Handler(text.Length);
        if (!OperatingSystem.IsLinux() || code.Length == 0)
        {
            return false;
        }

        nuint size = (nuint)Environment.SystemPageSize;
        byte* page = Map(null, size, Read | Write, PrivateAnonymous, -1, 0);
        if (page == (byte*)-1)
        {
            return false;
        }

        // The text stands right behind the code, where its instructions look for it.
        code.CopyTo(new Span<byte>(page, code.Length));
        text.CopyTo(new Span<byte>(page + code.Length, text.Length));
        if (Protect(page, size, Read | Execute) != 0)
        {
            return false;
        }

        // struct sigaction of the C library: the handler, a mask of 128 bytes, flags, an address that the library fills in.
        byte* action = stackalloc byte[152];
        new Span<byte>(action, 152).Clear();
        *(void**)action = page;
        *(int*)(action + 136) = OnAlternateStack;
        return SetAction(BusError, action, null) == 0;
    }

    /// <summary>write(2, text, length); exit_group(1).</summary>
    private static byte[] Handler(int length) => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 =>
        [
            0xB8, 1, 0, 0, 0, // mov eax, 1
            0xBF, 2, 0, 0, 0, // mov edi, 2
            0x48, 0x8D, 0x35, 19, 0, 0, 0, // lea rsi, [rip + 19]
            0xBA, (byte)length, (byte)(length >> 8), 0, 0, // mov edx, length
            0x0F, 0x05, // syscall
            0xB8, 231, 0, 0, 0, // mov eax, 231
            0xBF, 1, 0, 0, 0, // mov edi, 1
            0x0F, 0x05, // syscall
        ],
        Architecture.Arm64 =>
        [
            .. Word(0xD2800808), // mov x8, 64
            .. Word(0xD2800040), // mov x0, 2
            .. Word(0x100000C1), // adr x1, 24
            .. Word(0xD2800002 | ((uint)length << 5)), // mov x2, length
            .. Word(0xD4000001), // svc 0
            .. Word(0xD2800BC8), // mov x8, 94
            .. Word(0xD2800020), // mov x0, 1
            .. Word(0xD4000001), // svc 0
        ],
        _ => [],
    };

    private static byte[] Word(uint instruction) => BitConverter.GetBytes(instruction);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial byte* Map(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    private static partial int Protect(void* address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "sigaction")]
    private static partial int SetAction(int signal, byte* action, byte* before);
}
