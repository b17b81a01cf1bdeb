using System.Collections.Concurrent;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Lamina.Coordinator.Api.Listening;

/// <summary>
/// How a listener is left without cutting anybody off. Whoever balances load learns only after a while that a process is about to end, so requests keep coming for that while: they are
/// answered, and each answer says that it is the last of its connection. So the next request dials anew and finds another process. A connection whose answer was already under way when
/// the end was announced has not heard of it, and is owed one answer more.
/// </summary>
internal sealed class Departure
{
    /// <summary>How long the close of a connection waits until its reader has taken all: with the process its network may go, and what the kernel still holds with it.</summary>
    private static readonly LingerOption s_untilTaken = new(enable: true, seconds: 5);

    private readonly ConcurrentDictionary<Visitor, bool> _visitors = new();
    private volatile bool _announced;

    /// <summary>One connection; at most one request runs on it (HTTP/1.1).</summary>
    private sealed class Visitor(ConnectionContext connection)
    {
        private volatile bool _busy;

        /// <summary>It came before the end was announced, and has not been told.</summary>
        public bool IsOwedAnAnswer { get; set; }

        public void Begin() => _busy = true;

        public void End() => _busy = false;

        public void CloseIfIdle()
        {
            if (!_busy)
            {
                connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
            }
        }

        public void CloseOnceTaken()
        {
            try
            {
                connection.Features.Get<IConnectionSocketFeature>()?.Socket.LingerState = s_untilTaken;
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // It is gone already.
            }
        }
    }

    /// <summary>Whether this request is answered although others are refused.</summary>
    public static bool Owes(HttpContext context) => context.Features.Get<Visitor>()?.IsOwedAnAnswer == true;

    public void Watch(ListenOptions listen) => listen.Use(next => async connection =>
    {
        var visitor = new Visitor(connection);
        connection.Features.Set(visitor);
        _visitors[visitor] = true;
        if (_announced)
        {
            visitor.CloseOnceTaken();
        }

        try
        {
            await next(connection);
        }
        finally
        {
            _visitors.TryRemove(visitor, out _);
        }
    });

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        Visitor? visitor = context.Features.Get<Visitor>();
        visitor?.Begin();
        try
        {
            if (_announced)
            {
                context.Response.Headers.Connection = "close";
            }

            await next(context);
        }
        finally
        {
            visitor?.End();
        }
    }

    /// <summary>From now on each answer is the last of its connection.</summary>
    public void Announce()
    {
        foreach (Visitor visitor in _visitors.Keys)
        {
            visitor.IsOwedAnAnswer = true;
        }

        _announced = true;
        foreach (Visitor visitor in _visitors.Keys)
        {
            visitor.CloseOnceTaken();
        }
    }

    /// <summary>Closes the connections that wait for a request: they have had a while to send one.</summary>
    public void CloseIdle()
    {
        foreach (Visitor visitor in _visitors.Keys)
        {
            visitor.CloseIfIdle();
        }
    }
}
