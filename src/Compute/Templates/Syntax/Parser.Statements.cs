using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Syntax;

internal sealed partial class Parser
{
    /// <summary>Statements up to a block tag that begins with one of the given names, whose name is the current token then, or up to the end.</summary>
    private List<Statement> ParseBody(params ReadOnlySpan<string> ends)
    {
        Enter();
        List<Statement> body = [];
        while (Current.Kind != TokenKind.End)
        {
            Token token = Next();
            switch (token.Kind)
            {
                case TokenKind.Data:
                    body.Add(new DataStatement(MarkedText.FromTemplate(token.Text), token.Line));
                    break;
                case TokenKind.VariableBegin:
                    body.Add(new OutputStatement(ParseTuple(), token.Line));
                    Expect(TokenKind.VariableEnd, "end of print statement");
                    break;
                default:
                    if (Current.Kind == TokenKind.Name && ends.Contains(Current.Text))
                    {
                        Leave();
                        return body;
                    }

                    body.Add(ParseStatement());
                    break;
            }
        }

        Leave();
        return ends.IsEmpty ? body : throw Unexpected($"'{ends[^1]}'");
    }

    private Statement ParseStatement()
    {
        int line = Current.Line;
        string name = ExpectIdentifier();
        switch (name)
        {
            case "if":
                return ParseIf(line);
            case "for":
                return ParseFor(line);
            case "set":
                return ParseSet(line);
            case "macro":
                return ParseMacro(line);
            case "call":
                return ParseCall(line);
            case "filter":
                List<FilterExpression> filters = ParseFilterChain(line);
                return new FilterStatement(filters, ParseEnclosed("endfilter"), line);
            case "with":
                return ParseWith(line);
            case "generation":
                return new ScopeStatement(ParseEnclosed("endgeneration"), line);
            case "block":
                ExpectIdentifier();
                IReadOnlyList<Statement> body = ParseEnclosed("endblock", mayRepeatName: true);
                return new ScopeStatement(body, line);
            case "do":
                ExpressionStatement statement = new(ParseTuple(), line);
                EndBlock();
                return statement;
            case "break" or "continue" when _loops > 0:
                EndBlock();
                return name == "break" ? new BreakStatement(line) : new ContinueStatement(line);
            default:
                throw new TemplateException($"line {line}: '{name}' is not a statement that chat templates may use here");
        }
    }

    private IfStatement ParseIf(int line)
    {
        List<(Expression, IReadOnlyList<Statement>)> branches = [];
        List<Statement> otherwise = [];
        do
        {
            Expression condition = ParseTuple(withConditional: false);
            EndBlock();
            branches.Add((condition, ParseBody("elif", "else", "endif")));
        }
        while (TryName("elif"));

        if (TryName("else"))
        {
            EndBlock();
            otherwise = ParseBody("endif");
        }

        ExpectName("endif");
        EndBlock();
        return new IfStatement(branches, otherwise, line);
    }

    private ForStatement ParseFor(int line)
    {
        AssignmentTarget target = ParseTarget(allowAttribute: false);
        ExpectName("in");
        Expression items = ParseTuple(withConditional: false);
        Expression? filter = TryName("if") ? ParseExpression() : null;
        bool isRecursive = TryName("recursive");
        EndBlock();
        _loops++;
        List<Statement> body = ParseBody("endfor", "else");
        _loops--;
        List<Statement> otherwise = [];
        if (TryName("else"))
        {
            EndBlock();
            otherwise = ParseBody("endfor");
        }

        ExpectName("endfor");
        EndBlock();
        return new ForStatement(target, items, filter, isRecursive, body, otherwise, line);
    }

    private Statement ParseSet(int line)
    {
        AssignmentTarget target = ParseTarget(allowAttribute: true);
        if (TryOperator("="))
        {
            Expression value = ParseTuple();
            EndBlock();
            return new SetStatement(target, value, line);
        }

        List<FilterExpression> filters = Current.IsOperator("|") ? ParseFilterChain(line) : [];
        return new SetBlockStatement(target, filters, ParseEnclosed("endset"), line);
    }

    private MacroStatement ParseMacro(int line)
    {
        string name = ExpectIdentifier();
        (MacroSignature signature, IReadOnlyList<Statement> body) = ParseCallable(ParseParameters(), "endmacro");
        return new MacroStatement(name, signature, body, line);
    }

    /// <summary>The parameters of the caller stand before the call: <c>{% call(item) list(items) %}</c>.</summary>
    private CallStatement ParseCall(int line)
    {
        List<(string, Expression?)> parameters = Current.IsOperator("(") ? ParseParameters() : [];
        if (ParseExpression() is not CallExpression call)
        {
            throw new TemplateException($"line {line}: 'call' needs a call");
        }

        (MacroSignature signature, IReadOnlyList<Statement> body) = ParseCallable(parameters, "endcall");
        return new CallStatement(call, signature, body, line);
    }

    private List<(string, Expression?)> ParseParameters()
    {
        List<(string, Expression?)> parameters = [];
        ExpectOperator("(");
        while (!TryOperator(")"))
        {
            if (parameters.Count > 0)
            {
                ExpectOperator(",");
            }

            string name = ExpectIdentifier();
            parameters.Add((name, TryOperator("=") ? ParseExpression() : null));
        }

        return parameters;
    }

    private (MacroSignature Signature, IReadOnlyList<Statement> Body) ParseCallable(List<(string, Expression?)> parameters, string end)
    {
        _macroNames.Push([]);
        int loops = _loops;
        _loops = 0;
        IReadOnlyList<Statement> body = ParseEnclosed(end);
        _loops = loops;
        HashSet<string> names = _macroNames.Pop();
        if (_macroNames.TryPeek(out HashSet<string>? outer))
        {
            outer.UnionWith(names);
        }

        return (new MacroSignature(parameters, names.Contains("varargs"), names.Contains("kwargs"), names.Contains("caller")), body);
    }

    private WithStatement ParseWith(int line)
    {
        List<(AssignmentTarget, Expression)> variables = [];
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (variables.Count > 0)
            {
                ExpectOperator(",");
            }

            AssignmentTarget target = ParseTarget(allowAttribute: false);
            ExpectOperator("=");
            variables.Add((target, ParseExpression()));
        }

        return new WithStatement(variables, ParseEnclosed("endwith"), line);
    }

    private List<FilterExpression> ParseFilterChain(int line)
    {
        // the first filter of a filter block has no '|' before it; each filter's target is the result before it
        List<FilterExpression> filters = [];
        bool first = !Current.IsOperator("|");
        while (first || TryOperator("|"))
        {
            first = false;
            string name = ParseDottedName();
            filters.Add(new FilterExpression(new ConstantExpression(NoneValue.Instance, line), name, ParseOptionalArguments(), line));
        }

        return filters;
    }

    private IReadOnlyList<Statement> ParseEnclosed(string end, bool mayRepeatName = false)
    {
        EndBlock();
        List<Statement> body = ParseBody(end);
        ExpectName(end);
        if (mayRepeatName && Current.Kind == TokenKind.Name)
        {
            Next();
        }

        EndBlock();
        return body;
    }

    private void EndBlock() => Expect(TokenKind.BlockEnd, "end of statement block");

    private AssignmentTarget ParseTarget(bool allowAttribute)
    {
        List<AssignmentTarget> parts = [ParseSingleTarget(allowAttribute)];
        bool isTuple = false;
        while (TryOperator(","))
        {
            isTuple = true;
            if (Current.Kind is not TokenKind.Name && !Current.IsOperator("("))
            {
                break;
            }

            parts.Add(ParseSingleTarget(allowAttribute));
        }

        return isTuple ? new AssignmentTarget("", null, parts) : parts[0];
    }

    private AssignmentTarget ParseSingleTarget(bool allowAttribute)
    {
        if (TryOperator("("))
        {
            Enter();
            AssignmentTarget inner = ParseTarget(allowAttribute);
            ExpectOperator(")");
            Leave();
            return inner;
        }

        int line = Current.Line;
        string name = ExpectIdentifier();
        if (name is "true" or "false" or "none" or "True" or "False" or "None" or "loop" && !allowAttribute)
        {
            throw new TemplateException($"line {line}: cannot assign to '{name}'");
        }

        return new AssignmentTarget(name, allowAttribute && TryOperator(".") ? ExpectIdentifier() : null, []);
    }
}
