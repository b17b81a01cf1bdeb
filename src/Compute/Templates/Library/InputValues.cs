using System.Text.Json.Nodes;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Library;

/// <summary>Turns the variables of an input into values and decides what of them is trusted.</summary>
internal static class InputValues
{
    /// <summary>
    /// Role names that templates write between the brackets of control tokens, as in <c>'&lt;|' + message.role + '|&gt;'</c>. Exactly these are trusted:
    /// a caller chooses among them, but cannot make up text.
    /// </summary>
    private static readonly HashSet<string> Roles = ["system", "developer", "user", "assistant", "tool", "function", "ipython", "model"];

    public static IEnumerable<KeyValuePair<string, Value>> Read(JsonObject variables)
    {
        foreach ((string name, JsonNode? node) in variables)
        {
            Value value = JsonText.Read(node);
            yield return KeyValuePair.Create(name, name switch
            {
                "bos_token" or "eos_token" when value is TextValue text => new TextValue(MarkedText.FromTemplate(text.Value)),
                "messages" when value is ListValue messages => new ListValue([.. messages.Items.Select(TrustRole)]),
                _ => value,
            });
        }
    }

    private static Value TrustRole(Value message) => message is DictValue dict && dict.Find("role") is TextValue role && Roles.Contains(role.Value)
        ? new DictValue(dict.Items.Select(item => item.Key is TextValue { Value: "role" }
            ? KeyValuePair.Create(item.Key, (Value)new TextValue(MarkedText.FromTemplate(role.Value)))
            : item))
        : message;
}
