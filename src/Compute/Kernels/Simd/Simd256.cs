using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Lamina.Compute.Kernels;

/// <summary>AVX2 with FMA: 8 dwords.</summary>
internal readonly unsafe struct Simd256 : ISimd<Vector256<byte>>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    public static int Bytes { [MethodImpl(Inline)] get => 32; }

    [MethodImpl(Inline)]
    public static Vector256<byte> Load(void* address) => Vector256.Load((byte*)address);

    [MethodImpl(Inline)]
    public static void Store(void* address, Vector256<byte> value) => value.Store((byte*)address);

    [MethodImpl(Inline)]
    public static Vector256<byte> Broadcast(int dword) => Vector256.Create(dword).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> BroadcastFrom(void* address) => Vector256.Create(*(int*)address).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> Repeat16(long low, long high) => Vector256.Create(low, high, low, high).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> And(Vector256<byte> a, Vector256<byte> b) => a & b;

    [MethodImpl(Inline)]
    public static Vector256<byte> Or(Vector256<byte> a, Vector256<byte> b) => a | b;

    [MethodImpl(Inline)]
    public static Vector256<byte> ShiftLeft16(Vector256<byte> a, int bits) => (a.AsUInt16() << bits).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> ShiftRight16(Vector256<byte> a, int bits) => (a.AsUInt16() >> bits).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> ShiftRightSigned16(Vector256<byte> a, int bits) => (a.AsInt16() >> bits).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> ShiftLeft32(Vector256<byte> a, int bits) => (a.AsUInt32() << bits).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> ShiftRight32(Vector256<byte> a, int bits) => (a.AsUInt32() >> bits).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> Add16(Vector256<byte> a, Vector256<byte> b) => (a.AsInt16() + b.AsInt16()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> Subtract16(Vector256<byte> a, Vector256<byte> b) => (a.AsInt16() - b.AsInt16()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> MultiplyLow16(Vector256<byte> a, Vector256<byte> b) => (a.AsInt16() * b.AsInt16()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> Add32(Vector256<byte> a, Vector256<byte> b) => (a.AsInt32() + b.AsInt32()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> ShuffleBytes(Vector256<byte> a, Vector256<byte> pattern) => Avx2.Shuffle(a, pattern);

    [MethodImpl(Inline)]
    public static Vector256<byte> Lookup(Vector256<byte> table, Vector256<byte> indices) => Avx2.Shuffle(table, indices);

    [MethodImpl(Inline)]
    public static Vector256<byte> Equal8(Vector256<byte> a, Vector256<byte> b) => Avx2.CompareEqual(a, b);

    [MethodImpl(Inline)]
    public static Vector256<byte> MultiplyAddBytes(Vector256<byte> unsigned, Vector256<byte> signed) => Avx2.MultiplyAddAdjacent(unsigned, signed.AsSByte()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> MultiplyAddShorts(Vector256<byte> a, Vector256<byte> b) => Avx2.MultiplyAddAdjacent(a.AsInt16(), b.AsInt16()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> Sign8(Vector256<byte> a, Vector256<byte> b) => Avx2.Sign(a.AsSByte(), b.AsSByte()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> Abs8(Vector256<byte> a) => Avx2.Abs(a.AsSByte());

    [MethodImpl(Inline)]
    public static Vector256<byte> ToFloat(Vector256<byte> integers) => Avx.ConvertToVector256Single(integers.AsInt32()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> Multiply(Vector256<byte> a, Vector256<byte> b) => Avx.Multiply(a.AsSingle(), b.AsSingle()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> MultiplyAdd(Vector256<byte> a, Vector256<byte> b, Vector256<byte> c) => Fma.MultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> SubtractProduct(Vector256<byte> a, Vector256<byte> b, Vector256<byte> c) => Fma.MultiplyAddNegated(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> HalfLow(Vector256<byte> pairs) => HalfFloat.Low(pairs.AsInt32()).AsByte();

    [MethodImpl(Inline)]
    public static Vector256<byte> HalfHigh(Vector256<byte> pairs) => HalfFloat.High(pairs.AsInt32()).AsByte();
}
