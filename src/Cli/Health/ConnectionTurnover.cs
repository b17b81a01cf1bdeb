using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Lamina.Cli.Health;

/// <summary>
/// Bounds a listener's connections by ending the oldest for the newest. A bound that turns newcomers away instead would let whoever holds connections open without asking
/// anything keep the probes out, and have the process restarted for it. A probe is done long before so many others have come after it.
/// </summary>
internal sealed class ConnectionTurnover(int most)
{
    private readonly LinkedList<ConnectionContext> _open = new();

    public void Watch(ListenOptions listen) => listen.Use(next => async connection =>
    {
        LinkedListNode<ConnectionContext> node = new(connection);
        ConnectionContext? oldest = null;
        lock (_open)
        {
            if (_open.Count >= most)
            {
                oldest = _open.First!.Value;
                _open.RemoveFirst();
            }

            _open.AddLast(node);
        }

        oldest?.Abort(new ConnectionAbortedException("a newer connection took its place"));
        try
        {
            await next(connection);
        }
        finally
        {
            lock (_open)
            {
                if (node.List is not null)
                {
                    _open.Remove(node);
                }
            }
        }
    });
}
