using Lamina.Compute.Kernels;

namespace Lamina.Compute.Tests.Kernels;

public sealed unsafe class NativeBufferTests
{
    [Theory, InlineData(1), InlineData(4097), InlineData((4 << 20) + 5), InlineData((8 << 20) + 4096)]
    public void Buffer_OfAnySize_IsZeroedAlignedAndWritableToItsLastByte(long bytes)
    {
        using var buffer = new NativeBuffer(bytes);
        Assert.Equal(0, (nint)buffer.Pointer % 64);
        Assert.True(new ReadOnlySpan<byte>(buffer.Pointer, (int)bytes).IndexOfAnyExcept((byte)0) < 0);
        buffer.Pointer[bytes - 1] = 1;
        buffer.Dispose();
        buffer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => buffer.Pointer[0]);
    }
}
