using System.Net.Sockets;

namespace Lamina.Cluster.Links;

/// <summary>Breaks a connection that has not authenticated in time, however it dawdles: timeouts of single reads would let a peer drip a byte at a time.</summary>
internal sealed class HandshakeDeadline : IPulsed, IDisposable
{
    private const int Active = 0, Done = 1, Broken = 2;

    private readonly long _due;
    private Socket? _socket;
    private int _state;

    public HandshakeDeadline(TimeSpan limit)
    {
        _due = Environment.TickCount64 + (long)limit.TotalMilliseconds;
        LinkPulse.Add(this);
    }

    /// <summary>The deadline came, or <see cref="Break"/> was called.</summary>
    public bool IsBroken => Volatile.Read(ref _state) == Broken;

    public void Guard(Socket socket)
    {
        Volatile.Write(ref _socket, socket);
        if (IsBroken)
        {
            socket.Dispose();
        }
    }

    public void Break()
    {
        if (Interlocked.CompareExchange(ref _state, Broken, Active) == Active)
        {
            Volatile.Read(ref _socket)?.Dispose();
        }
    }

    public void Pulse(long now, bool stalled)
    {
        if (now >= _due)
        {
            Break();
        }
    }

    /// <summary>Ends the watch; a connection that was not broken until now stays whole.</summary>
    public void Dispose()
    {
        Interlocked.CompareExchange(ref _state, Done, Active);
        LinkPulse.Remove(this);
    }
}
